"""Numbers that the checks draw and compare."""

import keras
import numpy as np

BATCH = 6
# The spacing of the numbers next to 1.
PRECISION = {"mixed_bfloat16": 2.0**-7, "mixed_float16": 2.0**-10}


def normal(shape: tuple, seed: int) -> np.ndarray:
    """The same random numbers on every backend."""
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def numpy(tensor) -> np.ndarray:
    """A tensor of any dtype as float64."""
    tensor = keras.ops.cast(tensor, "float32")
    return np.asarray(keras.ops.convert_to_numpy(tensor), "float64")


def dtype_of(tensor) -> str:
    return keras.backend.standardize_dtype(tensor.dtype)


def difference(found, expected) -> float:
    """The largest difference, as a share of the largest expected number.

    Infinite if shapes differ or a number is none.
    """
    found, expected = np.asarray(found), np.asarray(expected)
    if found.shape != expected.shape:
        return np.inf
    scale = max(1.0, np.abs(expected).max(initial=0.0))
    largest = np.abs(found - expected).max(initial=0.0) / scale
    return np.inf if np.isnan(largest) else largest


def state(layer) -> list[np.ndarray]:
    """All numbers of a layer or a model, those of its generators too."""
    return [
        np.array(keras.ops.convert_to_numpy(variable))
        for variable in layer.variables
    ]


def restore(layer, numbers: list[np.ndarray]) -> None:
    """Gives a layer the numbers that `state` took from one like it."""
    for variable, value in zip(layer.variables, numbers, strict=True):
        variable.assign(value)


def change(layer):
    """Gives the weights of a layer or a model others than it was made with."""
    for i, variable in enumerate(layer.weights):
        if variable.dtype.startswith("float"):
            noise = normal(tuple(variable.shape), i)
            # Those of statistics may have to be positive.
            noise = 0.2 * noise if variable.trainable else np.abs(noise)
            variable.assign(numpy(variable) + noise)
    return layer
