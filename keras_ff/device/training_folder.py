"""The folder that `keras_ff.export_training` writes and devices read."""

import io
import os
import zipfile

import numpy as np

from keras_ff.files import read_json
from keras_ff.files import write_whole

FORMAT = "keras_ff training"
VERSION = 1
MANIFEST = "training.json"
WEIGHTS = "weights.npz"
INT8 = "predict_int8.tflite"
MODEL = "model.json"
# Numbers that all layers share: how large a step is, how many there were, and
# the epoch, which temperatures and regularizers follow.
LEARNING_RATE = "optimizer/learning_rate"
STEP = "optimizer/iteration"
EPOCH = "epoch"
# What a file of weights says of the training beside them.
PROGRESS = ("progress/epoch", "progress/batch")
_EXPORT_AGAIN = "Export the model again, with keras_ff.export_training."


def read_manifest(path):
    """What `training.json` of an exported folder says.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if it is of another version, damaged, or lacks a layer.
    """
    file = os.path.join(path, MANIFEST)
    if not os.path.isfile(file):
        raise FileNotFoundError(
            f"{path} is no folder that keras_ff.export_training wrote: it has "
            f"no {MANIFEST}."
        )
    manifest = read_json(file, _EXPORT_AGAIN)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ValueError(
            f"{file} is not of keras_ff.export_training. {_EXPORT_AGAIN}"
        )
    if manifest.get("version") != VERSION:
        raise ValueError(
            f"{file} is of version {manifest.get('version')}, this keras_ff "
            f"reads version {VERSION}. Take the keras_ff that wrote it, "
            f"{manifest.get('keras_ff')}, or export the model again."
        )
    (layers,), _ = manifest["weights"]["contribution"]
    if len(manifest["layers"]) != layers:
        raise ValueError(
            f"{path} is not whole: {MANIFEST} knows {len(manifest['layers'])} "
            f"of {layers} layers. {_EXPORT_AGAIN}"
        )
    for name, program in programs(manifest):
        if not os.path.isfile(os.path.join(path, program)):
            raise ValueError(
                f"{path} is not whole: {program}, the program of {name}, is "
                f"missing. {_EXPORT_AGAIN}"
            )
    return manifest


def programs(manifest):
    """Pairs of what a program is for and the name of its file."""
    found = [
        (f"layer {layer['name']!r}", layer["program"])
        for layer in manifest["layers"]
    ]
    found.append(("the model", manifest["model"]["program"]))
    if manifest["int8"]:
        found.append(("the model in int8", manifest["int8"]))
    return found


def read_weights(file, manifest):
    """All numbers of a file of weights, by their names.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged or does not fit the programs.
    """
    try:
        # `np.load` leaves a damaged file open that it opened itself.
        with (
            open(file, "rb") as opened,
            np.load(opened, allow_pickle=False) as archive,
        ):
            values = {name: archive[name] for name in archive.files}
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"There is no file of weights {file}. keras_ff.export_training "
            f"writes {WEIGHTS} into its folder, and LiteRTTrainer(..., "
            "weights=...) the file of that name, by `fit` and by `save`."
        ) from error
    except (zipfile.BadZipFile, ValueError, EOFError, KeyError) as error:
        raise ValueError(
            f"{file} is no whole file of weights: {error}. Take an earlier "
            "one, or export the model again."
        ) from error
    expected = manifest["weights"]
    missing = sorted(set(expected) - set(values))
    if missing:
        raise ValueError(
            f"{file} lacks {missing}: it is of another model, or of another "
            "optimizer."
        )
    found = {}
    for name, (shape, dtype) in expected.items():
        value = values[name]
        if list(value.shape) != shape:
            raise ValueError(
                f"{file} is of another model: {name!r} has the shape "
                f"{value.shape}, the programs take {tuple(shape)}."
            )
        found[name] = value.astype(dtype)
    for name in PROGRESS:
        found[name] = int(values.get(name, 0))
    return found


def write_weights(file, values, manifest):
    """Writes a file of weights, which is whole at any moment."""
    content = io.BytesIO()
    half = set(manifest["float16"])
    stored = {}
    for name, value in values.items():
        value = np.asarray(value)
        if name in half:
            value = _halved(value)
        stored[name] = value
    np.savez(content, **stored)
    write_whole(file, content.getvalue())


def _halved(value):
    with np.errstate(over="ignore"):
        half = value.astype("float16")
    # What is too large stays as it is.
    return half if np.isfinite(half).all() else value
