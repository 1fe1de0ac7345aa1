"""The folder of a run: one run at a time, its own files only, each whole.

Of several processes of a run, the first one writes.
"""

import contextlib
import csv
import errno
import io
import json
import os

import keras

from examples.common import processes
from keras_ff import files
from keras_ff.folder_lock import FolderLock
from keras_ff.models.trainers import whole_weights

CURE = "Give another --output, or remove {} to begin anew."
FULL_OR_CLOSED = {
    getattr(errno, name)
    for name in ("ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EACCES", "EPERM")
    if hasattr(errno, name)
}


@contextlib.contextmanager
def held(output):
    """Holds a folder as long as a run works in it.

    What is wrong with the folder or its files ends the program with a
    sentence that says what to do.

    Args:
        output: path of the folder, which is made.
    """
    if not processes.writes():
        yield
        return
    lock = FolderLock(output / "run.lock")
    try:
        output.mkdir(parents=True, exist_ok=True)
        with advice():
            lock.acquire()
        yield
    except OSError as error:
        if error.errno not in FULL_OR_CLOSED:
            raise
        if "it could not be written" not in str(error):
            error = files.unwritten(error.filename or output, error)
        raise SystemExit(
            f"{error}. The same command goes on from the last whole backup."
        ) from error
    finally:
        lock.release()


@contextlib.contextmanager
def advice():
    """Ends the program with the message of what is refused or damaged."""
    try:
        yield
    except ValueError as error:
        raise SystemExit(str(error)) from error


def check_config(output, config):
    """Refuses a folder that holds another run."""
    path = output / "config.json"
    if path.exists():
        refuse_other(output, read_json(path), config)
    elif (output / "backup").exists():
        raise SystemExit(
            f"{output} holds a run, but not its flags ({path}). "
            + CURE.format(output)
        )


def refuse_other(place, saved, given):
    with advice():
        files.refuse_other(place, saved, given, CURE.format(place))


def write_json(path, content):
    if not processes.writes():
        return
    files.write_whole(path, json.dumps(content, indent=2) + "\n")


def read_json(path, keys=()):
    """The dictionary of a file, which has at least these keys."""
    cure = CURE.format(path)
    with advice():
        content = files.read_json(path, cure)
    if not isinstance(content, dict) or not {*keys} <= {*content}:
        raise SystemExit(
            f"{path} is damaged, or not written by this script. {cure}"
        )
    return content


def write_history(path, history):
    """One line an epoch."""
    if not processes.writes():
        return
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["epoch", *history])
    writer.writerows(
        [epoch, *row] for epoch, row in enumerate(zip(*history.values()))
    )
    files.write_whole(path, text.getvalue())


def save_figure(figure, path, dpi=150):
    """Writes a PNG file, and lets the figure go."""
    from matplotlib import pyplot

    if not processes.writes():
        return pyplot.close(figure)
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=dpi)
    files.write_whole(path, image.getvalue())
    pyplot.close(figure)


def save_model(model, path):
    """Saves a model that all processes have."""
    part = path.with_suffix(".part.keras")
    with whole_weights(model):
        if not processes.writes():
            return
        with files.removed_if_unwritten(part, path):
            model.save(part)
            files.settle(part)
            os.replace(part, path)


def load_model(path, output):
    try:
        return keras.saving.load_model(path)
    except Exception as error:
        # Keras has no error of its own for a damaged file.
        raise SystemExit(
            f"{path} is damaged or missing: {error}. {CURE.format(output)}"
        ) from error
