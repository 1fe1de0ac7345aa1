"""One run at a time; between processes, `callbacks/test_backup.py` tests it."""

import errno
import gc
import os

import pytest

from keras_ff import folder_lock
from keras_ff.folder_lock import FolderLock

pytestmark = pytest.mark.only_on("torch")


def test_held_until_released_or_forgotten(tmp_path):
    path = tmp_path / "lock"
    lock = FolderLock(path)
    assert not lock.is_held()
    lock.release()
    lock.acquire()
    lock.acquire(take_over=False)
    assert lock.is_held()
    assert path.read_text().startswith(f"process {os.getpid()} on ")
    lock.release()
    assert not lock.is_held() and not path.exists()
    lock.acquire()
    del lock
    gc.collect()
    assert not path.exists()


def test_the_last_one_of_a_process_has_it(tmp_path):
    first, second = (FolderLock(tmp_path / "lock") for _ in range(2))
    first.acquire()
    with pytest.raises(ValueError, match="taken over .* a folder of its own"):
        second.acquire(take_over=False)
    second.acquire()
    assert (first.is_held(), second.is_held()) == (False, True)
    # What it does not hold it does not release.
    first.release()
    assert second.is_held()
    # By another way to the same file, too.
    (tmp_path / "link").symlink_to(tmp_path)
    FolderLock(tmp_path / "link" / "lock").acquire()
    assert not second.is_held()


def test_lock_of_a_removed_file_is_not_enough(tmp_path, monkeypatch):
    path = tmp_path / "lock"
    lock = folder_lock.fcntl.lockf

    def removed_meanwhile(file, flags):
        # By who held it until now; once.
        path.unlink()
        monkeypatch.setattr(folder_lock.fcntl, "lockf", lock)
        lock(file, flags)

    monkeypatch.setattr(folder_lock.fcntl, "lockf", removed_meanwhile)
    holder = FolderLock(path)
    holder.acquire()
    assert path.exists()


def test_file_system_without_locks(tmp_path, monkeypatch):
    def lockf(file, flags):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(folder_lock.fcntl, "lockf", lockf)
    lock = FolderLock(tmp_path / "lock")
    with pytest.warns(UserWarning, match="No locks available.*not be noticed"):
        lock.acquire()
    assert lock.is_held()
