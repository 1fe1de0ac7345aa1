from typing import Any

import keras
import numpy as np

from keras_ff.checks import check_bool
from keras_ff.checks import check_integer
from keras_ff.checks import is_integer
from keras_ff.datasets import catalog


def preprocessing(
    name: str,
    augment: bool = False,
    image_size: int | tuple[int, int] | None = None,
) -> list[keras.layers.Layer]:
    """The layers that turn a data set's raw pixels into what a network takes.

    Inside a model they run on the accelerator, are saved with it and resume
    with it; augmentation is on in training only.

    Args:
        name: as in `load_arrays()`, which gives such pixels with `raw=True`.
        augment: bool, whether to shift each image (up to 4 pixels for CIFAR,
            and Tiny-ImageNet, 2 for the MNISTs, 1 for digits; the border is
            black) and, for CIFAR and Tiny-ImageNet, to mirror every other one.
        image_size: size to resize the images to, bilinearly:
            `(height, width)` or an integer for both. `None` keeps them.

    Returns:
        List of Keras layers for pixels from 0 to 255, none with weights.

    Raises:
        ValueError: if the name is unknown, that of a data set that does not
            fit into memory, or a size is wrong.
        TypeError: if `augment` is not a bool.

    Example:

    ```python
    layers = keras_ff.datasets.preprocessing("cifar10", augment=True)
    model = keras_ff.models.ForwardOnlyModel(
        [keras.Input((32, 32, 3)), *layers, keras_ff.layers.CAWConv2D(...)]
    )
    ```
    """
    catalog.check_fits_memory(name)
    info = catalog.info(name)
    image_size = standardize_image_size(image_size)
    check_bool("augment", augment)
    layers = []
    if augment:
        shift, flip = catalog.SHIFT_AND_FLIP[name]
        height, width, _ = info.input_shape
        # Every whole shift is as likely as another: those at the ends need
        # half a pixel more, from which they are rounded.
        reach = shift + 0.499
        layers.append(
            keras.layers.RandomTranslation(
                reach / height,
                reach / width,
                fill_mode="constant",
                # Whole pixels: nothing is blurred.
                interpolation="nearest",
            )
        )
        if flip:
            layers.append(keras.layers.RandomFlip("horizontal"))
    if image_size is not None:
        layers.append(keras.layers.Resizing(*image_size))
    mean, std = 255 * np.array([info.mean, info.std])
    layers.append(
        keras.layers.Normalization(
            mean=mean.tolist(), variance=(std**2).tolist()
        )
    )
    return layers


def standardize_image_size(size: Any) -> tuple[int, int] | None:
    """`(height, width)`, or `None`."""
    if size is None:
        return None
    size = (size, size) if is_integer(size) else size
    if not isinstance(size, (tuple, list)) or len(size) != 2:
        raise ValueError(
            "`image_size` must be an integer or `(height, width)`. "
            f"Received: image_size={size!r}"
        )
    for value in size:
        check_integer("image_size", value, minimum=1)
    height, width = size
    return height, width
