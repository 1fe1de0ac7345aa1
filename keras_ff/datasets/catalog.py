"""What is known of each data set before any of it is read."""

from typing import NamedTuple

import numpy as np


class DatasetInfo(NamedTuple):
    """Facts about a data set.

    Attributes:
        name: The name that `keras_ff.datasets.load()` takes.
        input_shape: Shape of one image, `(height, width, channels)`.
        num_classes: Number of classes; labels are `0 .. num_classes - 1`.
        mean: Mean of each channel, for pixels scaled to `[0, 1]`.
        std: Standard deviation of each channel, on the same scale.
    """

    name: str
    input_shape: tuple
    num_classes: int
    mean: tuple
    std: tuple


_CATALOG = {
    dataset.name: dataset
    for dataset in (
        DatasetInfo("mnist", (28, 28, 1), 10, (0.1307,), (0.3081,)),
        DatasetInfo("fashion_mnist", (28, 28, 1), 10, (0.2860,), (0.3530,)),
        DatasetInfo(
            "cifar10",
            (32, 32, 3),
            10,
            (0.4914, 0.4822, 0.4465),
            (0.2023, 0.1994, 0.2010),
        ),
        DatasetInfo(
            "cifar100",
            (32, 32, 3),
            100,
            (0.5071, 0.4867, 0.4408),
            (0.2675, 0.2565, 0.2761),
        ),
        DatasetInfo(
            "tiny_imagenet",
            (64, 64, 3),
            200,
            (0.485, 0.456, 0.406),
            (0.229, 0.224, 0.225),
        ),
        DatasetInfo(
            "imagenet2012",
            (224, 224, 3),
            1000,
            (0.485, 0.456, 0.406),
            (0.229, 0.224, 0.225),
        ),
        DatasetInfo("digits", (8, 8, 1), 10, (0.3053,), (0.3760,)),
    )
}
# What the usual augmentation does: the largest shift in pixels, and whether
# mirror images keep their class.
SHIFT_AND_FLIP = {
    "mnist": (2, False),
    "fashion_mnist": (2, False),
    "cifar10": (4, True),
    "cifar100": (4, True),
    "tiny_imagenet": (4, True),
    "digits": (1, False),
}
# Read from disk batch by batch; all others fit into memory.
STREAMED = ("imagenet2012",)


def info(name: str) -> DatasetInfo:
    """Returns the shape, classes and statistics of a data set.

    Nothing is read or downloaded.

    Args:
        name: One of `"mnist"`, `"fashion_mnist"`, `"cifar10"`, `"cifar100"`,
            `"tiny_imagenet"`, `"imagenet2012"` and `"digits"`.

    Returns:
        A named tuple: `name`; `input_shape` of one image, `(height, width,
        channels)`; `num_classes`; and for each channel the `mean` and the
        standard deviation `std` of pixels scaled to `[0, 1]`.

    Raises:
        ValueError: If the name is unknown.

    Example:

    >>> keras_ff.datasets.info("cifar10").input_shape
    (32, 32, 3)
    """
    if not isinstance(name, str) or name not in _CATALOG:
        known = ", ".join(f'"{known}"' for known in _CATALOG)
        raise ValueError(
            f"Unknown data set. Expected `name` to be one of {known}. "
            f"Received: name={name!r}"
        )
    return _CATALOG[name]


def pixel_statistics(name):
    """Mean and standard deviation of each channel, for pixels up to 255."""
    details = info(name)
    return 255 * np.array([details.mean, details.std], "float32")


def check_fits_memory(name):
    """Raises if a data set is unknown, or read from disk batch by batch."""
    info(name)
    if name in STREAMED:
        raise ValueError(
            f'"{name}" does not fit into memory; use '
            "`keras_ff.datasets.load()`, which streams it."
        )
