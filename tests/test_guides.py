"""Every guide has the tutobook header and runs, at small size."""

import pathlib
import re
import runpy
import socket
import subprocess

import pytest
import python_processes

plt = pytest.importorskip("matplotlib.pyplot")

# Its processes run on this backend, and need not import it again.
FORKED = "more_than_one_device"
# Of the extra `guides`.
NEEDS = {"sequences": ("babel", "sktime")}
GUIDES = sorted((pathlib.Path(__file__).parent.parent / "guides").glob("*.py"))


@pytest.mark.only_on("torch")
@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.stem)
def test_guide(guide, tmp_path, monkeypatch):
    header = re.match(
        r'"""\nTitle: .+\nAuthors?: .+\nDate created: \d{4}/\d\d/\d\d\n'
        r"Last modified: \d{4}/\d\d/\d\d\nDescription: [A-Z].{1,99}\.\n"
        r'Accelerator: (None|GPU|TPU)\n"""\n',
        guide.read_text(),
    )
    assert header, "The header is not that of a keras.io guide."
    for package in NEEDS.get(guide.stem, ()):
        pytest.importorskip(package)
    monkeypatch.setenv("GUIDE_EPOCHS", "1")
    monkeypatch.chdir(tmp_path)
    if guide.stem == FORKED:
        monkeypatch.setattr(subprocess, "run", run_or_torchrun)
    plt.switch_backend("Agg")
    runpy.run_path(str(guide), run_name="__main__")
    plt.close("all")


def run_or_torchrun(command, env, **options):
    """As `subprocess.run`; `torchrun` forks what it would have started."""
    _, *arguments = command
    if arguments[:2] != ["-m", "torch.distributed.run"]:
        return python_processes.run(arguments, env=env)
    from torch.distributed.run import parse_args

    known = parse_args(arguments[2:])
    assert known.standalone and known.local_addr == "127.0.0.1"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    started = [
        python_processes.Process(
            [known.training_script, *known.training_script_args],
            {
                **env,
                "RANK": str(rank),
                "WORLD_SIZE": known.nproc_per_node,
                "MASTER_ADDR": known.local_addr,
                "MASTER_PORT": port,
            },
        )
        for rank in range(int(known.nproc_per_node))
    ]
    return [process.wait() for process in started][0]
