"""What is wrong with a run's folder is told at once, with what to do."""

import errno
import subprocess
import sys

import pytest

from examples.common import folder

pytestmark = pytest.mark.only_on("torch")
ANOTHER_RUN = """
import fcntl, sys
with open(sys.argv[1], "a+") as file:
    fcntl.lockf(file, fcntl.LOCK_EX)
    file.write("process 7 on a machine")
    file.flush()
    print("held", flush=True)
    sys.stdin.read()
"""


def test_second_run_is_refused_as_long_as_the_first_one_lives(tmp_path):
    pytest.importorskip("fcntl")
    first = subprocess.Popen(
        [sys.executable, "-c", ANOTHER_RUN, tmp_path / "run.lock"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert first.stdout.readline() == b"held\n"
        with pytest.raises(SystemExit, match="in use by process 7 on a mach"):
            with folder.held(tmp_path):
                raise AssertionError("It is held by another process.")
    finally:
        first.kill()
        first.communicate()
    with folder.held(tmp_path / "."):
        assert (tmp_path / "run.lock").exists()
    assert not list(tmp_path.iterdir())


def test_full_disk(tmp_path):
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    path = tmp_path / "metrics.json"
    folder.write_json(path, {"before": 1})
    try:
        with pytest.raises(SystemExit, match="Make room.*The same command"):
            with folder.held(tmp_path):
                resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
                folder.write_json(path, {"long": "x" * 2000})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert folder.read_json(path) == {"before": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.json"]


def test_read_only_folder_and_other_errors(tmp_path):
    # What Keras raises says neither what to do nor where.
    with pytest.raises(SystemExit, match="Make room"):
        with folder.held(tmp_path):
            raise OSError(errno.EROFS, "Read-only file system")
    with pytest.raises(FileNotFoundError):
        with folder.held(tmp_path):
            open(tmp_path / "no_data_there")


def test_damaged_and_foreign_files(tmp_path):
    path = tmp_path / "metrics.json"
    for text in ('{"history"', "[1]", '{"another": 1}'):
        path.write_text(text)
        with pytest.raises(SystemExit, match="metrics.json is damaged.*Give"):
            folder.read_json(path, ["history"])
    path = tmp_path / "best.keras"
    for content in (None, b"", b"PK\x03\x04 and no more"):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(SystemExit, match="best.keras is damaged or"):
            folder.load_model(path, tmp_path)
