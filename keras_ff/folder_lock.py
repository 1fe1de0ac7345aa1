import errno
import os
import socket
import warnings
import weakref

try:
    import fcntl
except ModuleNotFoundError:
    # Windows. There a folder is not guarded.
    fcntl = None

# By path, what this process holds.
_HELD = {}


class FolderLock:
    """Lets one run at a time write into a folder.

    The operating system keeps it, so it ends with the process, however that
    ends. Within one process the one that asked last has it.

    Args:
        path: path of the lock's file, which exists while the lock is held, or
            after a process that was killed.
    """

    def __init__(self, path):
        self.path = os.fspath(path)

    def acquire(self, take_over=True):
        """Takes the lock, without waiting, if it is not held already.

        Args:
            take_over: bool, whether also from another one of this process.

        Raises:
            ValueError: if another process has it, or another one of this
                process that it may not take it from.
            OSError: if the file cannot be written.
        """
        key = os.path.realpath(self.path)
        held = _HELD.get(key)
        # After a fork, what the parent holds is not held here.
        if held is None or held.process != os.getpid():
            held = _Held(key, self._open())
            _HELD[key] = held
        elif not take_over and not held.belongs_to(self):
            raise ValueError(
                f"{os.path.dirname(self.path)} was taken over by another run "
                "in this process. Give every run a folder of its own."
            )
        held.give_to(self)

    def is_held(self):
        held = _HELD.get(os.path.realpath(self.path))
        return held is not None and held.belongs_to(self)

    def release(self):
        if self.is_held():
            _HELD[os.path.realpath(self.path)].end()

    def _open(self):
        while True:
            file = open(self.path, "a+")
            try:
                self._lock(file)
                # Its last holder may have removed it meanwhile.
                if os.path.samestat(
                    os.fstat(file.fileno()), os.stat(file.name)
                ):
                    break
            except FileNotFoundError:
                pass
            except BaseException:
                file.close()
                raise
            file.close()
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        return file

    def _lock(self, file):
        if fcntl is None:
            return
        try:
            # Unlike `flock`, not inherited by processes that outlive this one.
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                file.seek(0)
                holder = file.read() or "another process"
                raise ValueError(
                    f"{os.path.dirname(self.path)} is in use by {holder}. "
                    "Wait until it has ended, end it, or give another folder."
                ) from None
            warnings.warn(
                f"{os.path.dirname(self.path)} lies on a file system without "
                f"locks ({error.strerror}): a second run in it would not be "
                "noticed."
            )


class _Held:
    """An open file of this process that is locked."""

    def __init__(self, key, file):
        self.process = os.getpid()
        self._key = key
        self._file = file

    def give_to(self, lock):
        # Who forgets to release it has released it.
        self._lock = weakref.ref(lock, lambda reference: self.end())

    def belongs_to(self, lock):
        return self.process == os.getpid() and self._lock() is lock

    def end(self):
        if _HELD.get(self._key) is not self or self.process != os.getpid():
            return
        del _HELD[self._key]
        try:
            os.remove(self._key)
        except OSError:
            pass
        self._file.close()
