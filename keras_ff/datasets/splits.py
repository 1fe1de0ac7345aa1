"""The parts of a data set, and which images are in which."""

import numbers
from typing import Any
from typing import NamedTuple

import numpy as np

from keras_ff.checks import is_integer


class Splits(NamedTuple):
    """The three parts of a data set.

    Attributes:
        train: Training data.
        validation: Images held out of training, or `None` for none.
        test: The test images.
    """

    train: Any
    validation: Any
    test: Any


def hold_out(num_images, validation_split, seed):
    """Divides training images into those to train on and those held out.

    Args:
        num_images: int.
        validation_split: fraction (float) or number (int) to hold out.
        seed: int, decides which.

    Returns:
        Two integer arrays: numbers of the images to train on, in no order,
        and of those held out, sorted.
    """
    number = num_held_out(num_images, validation_split)
    order = np.random.default_rng(seed).permutation(num_images)
    return order[number:], np.sort(order[:number])


def num_held_out(num_images, validation_split):
    number = validation_split
    if not is_integer(number):
        # Some, if any were asked for.
        number = max(round(number * num_images), int(number > 0))
    if number >= num_images:
        raise ValueError(
            "No image is left to train on: `validation_split` holds out "
            f"{number} of {num_images}."
        )
    return number


def check_validation_split(split):
    """Raises if an argument is neither a fraction nor a number of images."""
    if isinstance(split, bool) or not isinstance(split, numbers.Real):
        raise TypeError(
            "`validation_split` must be a fraction (float) or a number of "
            f"images (int). Received: validation_split={split!r}"
        )
    fraction = not is_integer(split)
    if not float(split) >= 0 or (fraction and not float(split) < 1):
        raise ValueError(
            "`validation_split` must be a fraction in [0, 1) or a "
            "non-negative number of images. "
            f"Received: validation_split={split}"
        )
