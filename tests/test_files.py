"""What the files of a run promise, on a real disk."""

import errno
import os
import resource

import pytest

from keras_ff import files

pytestmark = pytest.mark.only_on("torch")


class Killed(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


@pytest.mark.parametrize("content", ["ä\r\n", b"\x00\xff"])
def test_write_whole(content, tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    files.write_whole(path, content)
    expected = content.encode() if isinstance(content, str) else content
    assert path.read_bytes() == expected
    assert os.listdir(tmp_path) == ["file"]


def test_a_link_stays_one(tmp_path):
    (tmp_path / "disk").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "disk" / "file")
    files.write_whole(link, "new")
    assert link.is_symlink()
    assert (tmp_path / "disk" / "file").read_text() == "new"


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_killed_while_it_writes(call, tmp_path, monkeypatch):
    def kill(*args):
        raise Killed

    path = tmp_path / "file"
    path.write_text("old")
    monkeypatch.setattr(files.os, call, kill)
    with pytest.raises(Killed):
        files.write_whole(path, "new")
    assert path.read_text() == "old"


def test_full_disk_loses_nothing(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match="before is unchanged") as error:
            files.write_whole(path, "x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert error.value.errno == errno.EFBIG
    assert str(path) in str(error.value)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_folder_that_cannot_be_written(tmp_path):
    with pytest.raises(FileNotFoundError, match="give another one.*missing"):
        files.write_whole(tmp_path / "missing" / "file", "x")


def test_damaged_json_is_named_with_advice(tmp_path):
    path = tmp_path / "file.json"
    path.write_text('{"a": ')
    with pytest.raises(ValueError, match=r"file.json is damaged: .* Buy one\."):
        files.read_json(path, cure="Buy one.")
    path.write_bytes(b'{"a": "\xff"}')
    with pytest.raises(ValueError, match="file.json is damaged"):
        files.read_json(path)
    path.write_text('{"a": 1}')
    assert files.read_json(path) == {"a": 1}


def test_refuse_other():
    files.refuse_other("here", {"a": 1, "b": [2]}, {"b": [2], "a": 1}, "")
    with pytest.raises(
        ValueError,
        match="^here holds something with other settings. Go away.\n"
        "a: saved 1, given None\nb: saved 2, given '2'$",
    ):
        files.refuse_other("here", {"a": 1, "b": 2}, {"b": "2"}, "Go away.")
