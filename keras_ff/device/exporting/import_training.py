import itertools
import json
import os

import keras
import numpy as np

from keras_ff.device.exporting.names import Names
from keras_ff.device.training_folder import EPOCH
from keras_ff.device.training_folder import MODEL
from keras_ff.device.training_folder import PROGRESS
from keras_ff.device.training_folder import WEIGHTS
from keras_ff.device.training_folder import read_manifest
from keras_ff.device.training_folder import read_weights
from keras_ff.files import read_json


def import_training(
    path: str | os.PathLike[str],
    model: keras.Model | None = None,
    weights: str | os.PathLike[str] | None = None,
) -> keras.Model:
    """Brings what a device learned back into a Keras model.

    Args:
        path: path of the folder that `keras_ff.export_training` wrote.
        model: the model that takes the weights, on any backend. Defaults to
            `None`, a new one, compiled as that which was exported.
        weights: path of the file of weights. Defaults to `None`, the one in
            the folder.

    Returns:
        The model. Its optimizer, if it is the one of the device, goes on
        where the device stopped.

    Raises:
        FileNotFoundError: if there is no such folder or file of weights.
        ValueError: if the folder is damaged or not whole, or the weights do
            not fit the model.

    Example:

    ```python
    model = keras_ff.import_training("on_the_device")
    model.evaluate(x_test, y_test)
    ```
    """
    path = os.fspath(path)
    manifest = read_manifest(path)
    file = os.path.join(path, WEIGHTS) if weights is None else weights
    values = read_weights(file, manifest)
    if model is None:
        model = _made(os.path.join(path, MODEL))
    names = Names(model)
    # In their order: Keras names parts without a name anew in every copy.
    variables = list(names.by_name.values())
    found = [values[name] for name in manifest["model"]["weights"]]
    _check_fits(variables, found, path)
    for variable, value in zip(variables, found):
        variable.assign(value)
    for variable in names.epochs:
        variable.assign(values[EPOCH])
    model.epoch = values[PROGRESS[0]]
    _take_state(model, manifest, values)
    return model


def _made(file):
    config = read_json(file, "Give `model`, or export the model again.")
    model = keras.models.model_from_json(json.dumps(config["model"]))
    model.compile_from_config(config["compile"])
    return model


def _check_fits(variables, values, path):
    for variable, value in itertools.zip_longest(variables, values):
        shape = None if variable is None else tuple(variable.shape)
        there = None if value is None else value.shape
        if shape != there:
            raise ValueError(
                f"The weights of {path} are of another model. Received: a "
                f"model with {len(variables)} weights, the device has "
                f"{len(values)}; the first that differs is "
                f"{getattr(variable, 'path', None)!r} of shape {shape}, on "
                f"the device of shape {there}. No weight was changed."
            )


def _take_state(model, manifest, values):
    """Lets the optimizer go on, if it is the one of the device."""
    optimizer = getattr(model, "optimizer", None)
    kind = manifest["optimizer"]["class_name"]
    if type(optimizer).__name__ != kind or not model.trainable_variables:
        return
    if not optimizer.built:
        optimizer.build(model.trainable_variables)
    state = [values.get(name) for name in manifest["state"]]
    if [np.shape(value) for value in state] == [
        tuple(v.shape) for v in optimizer.variables
    ]:
        for variable, value in zip(optimizer.variables, state):
            variable.assign(value)
