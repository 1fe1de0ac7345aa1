"""Files that are whole at any moment, and folders that hold something else."""

import contextlib
import errno
import json
import os
import secrets


def write_whole(path, content):
    """Writes a file that is whole at any moment: the new one or the old one.

    Args:
        path: path of the file. Its folder must exist.
        content: string (written as UTF-8) or bytes.

    Raises:
        OSError: if it cannot be written. What was there is unchanged.
    """
    # A link stays one.
    path = os.path.realpath(path)
    part = f"{path}.{secrets.token_hex(8)}.part"
    if isinstance(content, str):
        content = content.encode()
    with removed_if_unwritten(part, path):
        with open(part, "xb") as file:
            file.write(content)
        settle(part)
        os.replace(part, path)
        _settle_names(os.path.dirname(path))


@contextlib.contextmanager
def removed_if_unwritten(part, path):
    """Removes a file whose writing fails, and says what to do about it.

    Args:
        part: path of the file that is written.
        path: path that the message names.
    """
    try:
        yield
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.remove(part)
        # HDF5 has errors of either kind for a full disk.
        if isinstance(error, (OSError, RuntimeError)):
            raise unwritten(path, error) from error
        raise


def reserve(path, size):
    """Makes sure that there is room for a new file of so many bytes.

    HDF5 may crash the process when a disk is full.
    """
    try:
        with open(path, "xb") as file:
            os.posix_fallocate(file.fileno(), 0, size)
    except AttributeError:
        pass  # Windows.
    except OSError as error:
        # Not every file system can.
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
            raise
    os.remove(path)


def check_folder(name, path) -> str:
    """The path of a folder, which need not exist yet, as a string.

    Args:
        name: string, of the argument.
        path: string or `os.PathLike`.

    Raises:
        TypeError: if it is no path.
        ValueError: if it cannot be a folder, as there is a file.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(
            f"`{name}` must be the path of a folder, a string or a "
            f"pathlib.Path. Received: {name}={path!r} of type "
            f"{type(path).__name__}"
        )
    path = os.fspath(path)
    if not path:
        raise ValueError(
            f"`{name}` must be the path of a folder, '.' for the current "
            f"one. Received: {name}=''"
        )
    there = path
    while there and not os.path.lexists(there):
        there = os.path.dirname(there)
    if there and not os.path.isdir(there):
        raise ValueError(
            f"`{name}` must be the path of a folder, which need not exist "
            f"yet. Received: {name}={path!r}, and {there} is a file"
        )
    return path


def settle(path):
    """Waits until what was written is on the disk."""
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def _settle_names(folder):
    # Not every system lets a folder be opened.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def unwritten(path, error):
    """The error that says what to do about one of writing a file."""
    return OSError(
        getattr(error, "errno", None),
        f"{getattr(error, 'strerror', None) or error}: it could not be "
        "written, and what was there before is unchanged. Make room on the "
        "disk, let the folder be written to, or give another one",
        os.fspath(path),
    )


def read_json(path, cure="Remove it, or give another folder."):
    """What a JSON file holds.

    Raises:
        ValueError: if it is damaged; the message ends with `cure`.
    """
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}. {cure}") from error


def refuse_other(place, saved, given, cure):
    """Refuses a place that holds something with other settings.

    Args:
        place: what the message says holds them, such as a path.
        saved, given: dicts of settings as JSON reads them.
        cure: string, a sentence that says what to do.

    Raises:
        ValueError: if they differ; it names every setting that does.
    """
    differing = [
        f"{key}: saved {saved.get(key)!r}, given {given.get(key)!r}"
        for key in dict.fromkeys([*saved, *given])
        if saved.get(key) != given.get(key)
    ]
    if differing:
        raise ValueError(
            f"{place} holds something with other settings. {cure}\n"
            + "\n".join(differing)
        )
