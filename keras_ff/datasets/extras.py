"""Modules that only the extra `keras_ff[datasets]` brings."""

import importlib

import keras


def import_extra(name):
    """Imports an optional module, or says which extra brings it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"`keras_ff.datasets.load()` needs `{name}`, which could not be "
            'imported. Install it with: pip install "keras_ff[datasets]"'
        ) from error


def import_tensorflow():
    """Imports TensorFlow, keeping it off the GPU that another backend uses."""
    tf = import_extra("tensorflow")
    if keras.config.backend() != "tensorflow":
        try:
            tf.config.set_visible_devices([], "GPU")
        except RuntimeError:  # The program itself already put it to use.
            pass
    return tf
