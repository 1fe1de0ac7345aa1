"""A run on several devices: its processes are started, joined and ended."""

import json
import os
import signal
import socket
import sys

import pytest
from python_processes import Process

from examples.common import processes

pytestmark = pytest.mark.only_on("torch")

# What a process is told, and that it ends as its number says.
CHILD = """
import os, sys
names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
open(sys.argv[1] + os.environ["RANK"], "w").write(
    " ".join(os.environ[name] for name in names)
)
sys.exit(7 * int(os.environ["RANK"]) if sys.argv[2:] else 0)
"""


@pytest.mark.parametrize("flags, code", [([], 0), (["--fail"], 7)])
def test_the_command_runs_as_often_as_asked_for(
    flags, code, tmp_path, monkeypatch
):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    command = [sys.executable, "-S", "-c", CHILD, f"{tmp_path}/", *flags]
    monkeypatch.setattr(sys, "orig_argv", command)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    processes.share(1)
    with pytest.raises(SystemExit) as end:
        processes.share(2)
    assert end.value.code == code
    first, second = (
        (tmp_path / rank).read_text().split() for rank in ("0", "1")
    )
    assert first[:4] == ["0", "0", "2", "127.0.0.1"]
    assert second == ["1", "1", *first[2:]]


@pytest.mark.parametrize(
    "command",
    [
        (
            *("caw_conv", "--dataset", "digits", "--batch-size", "512"),
            *("--width-multiplier", "0.05"),
        ),
        ("reproduce", "hff-mlp-digits", "--width-multiplier", "0.01"),
    ],
    ids=lambda command: command[0],
)
def test_two_processes_make_one_run(command, tmp_path):
    """An example, in whole, as each of two processes that a run has."""
    name, *flags = command
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    run = tmp_path / "run"
    started = [
        Process(
            [
                *("-m", f"examples.{name}", *flags),
                *("--epochs", "1", "--output", run),
            ],
            {
                "RANK": rank,
                "LOCAL_RANK": rank,
                "WORLD_SIZE": "2",
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": port,
            },
            os.getcwd(),
        )
        for rank in ("0", "1")
    ]
    first, second = (process.wait() for process in started)
    for done in (first, second):
        assert done.returncode == 0, done.stderr[-3000:]
    assert "val_accuracy" in first.stdout
    assert second.stdout == ""
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["devices"] == 2
    assert len(metrics["history"]["val_accuracy"]) == 1
    names = {path.name for path in run.iterdir()}
    assert {"model.keras", "best.keras", "history.csv"} <= names
    assert not [name for name in names if "part" in name or "lock" in name]
