import json
import os

import keras

from keras_ff.device.exporting.names import EPOCH
from keras_ff.device.exporting.names import OPTIMIZER
from keras_ff.device.exporting.names import Names
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
        FileNotFoundError: if there is no such folder.
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
    variables = names.by_name
    _check_fits(variables, values, path)
    for name, variable in variables.items():
        variable.assign(values[name])
    for variable in names.epochs:
        variable.assign(values[EPOCH])
    model.epoch = values[PROGRESS[0]]
    _take_state(model, values)
    return model


def _made(file):
    config = read_json(file, "Give `model`, or export the model again.")
    model = keras.models.model_from_json(json.dumps(config["model"]))
    model.compile_from_config(config["compile"])
    return model


def _check_fits(variables, values, path):
    for name, variable in variables.items():
        value = values.get(name)
        if value is None or tuple(value.shape) != tuple(variable.shape):
            raise ValueError(
                f"The weights of {path} are of another model. Received: a "
                f"model with the weight {name!r} of shape "
                f"{tuple(variable.shape)}; the device has "
                f"{'none' if value is None else tuple(value.shape)}. No "
                "weight was changed."
            )


def _take_state(model, values):
    """Lets the optimizer go on, if all of its state is there."""
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        return
    if not optimizer.built:
        optimizer.build(model.trainable_variables)
    state = {OPTIMIZER + v.name: v for v in optimizer.variables}
    if all(
        name in values and values[name].shape == tuple(v.shape)
        for name, v in state.items()
    ):
        for name, variable in state.items():
            variable.assign(values[name])
