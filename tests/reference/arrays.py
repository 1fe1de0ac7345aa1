"""Small helpers that many tests share."""

import keras
import numpy as np


def numpy(tensor):
    """A tensor as float64."""
    tensor = keras.ops.cast(tensor, "float32")
    return np.asarray(keras.ops.convert_to_numpy(tensor), "float64")


def normal(shape, seed=0, scale=1.0, offset=0.0):
    """The same numbers on every backend."""
    draw = np.random.default_rng(seed).normal(offset, scale, shape)
    return draw.astype("float32")


def perturb(layer, scale=0.2, seed=3):
    """Moves every trainable weight off its initial value."""
    rng = np.random.default_rng(seed)
    for variable in layer.trainable_variables:
        noise = rng.normal(0.0, scale, tuple(variable.shape))
        variable.assign(numpy(variable.value) + noise)
    return layer
