import numpy as np
from keras import ops
from keras import tree

from keras_ff.checks import check_integer
from keras_ff.datasets.array_batches import ArrayBatches
from keras_ff.type_aliases import Shape
from keras_ff.type_aliases import Tensor


class AugmentedBatches(ArrayBatches):
    """Batches of shifted and mirrored images, wherever the arrays are.

    Every image is shifted by a random whole number of pixels along each axis,
    with its border mirrored. With `flip`, a random half of the images is
    mirrored in the even epochs and the other half in the odd ones, so that
    two epochs show each image both ways.

    What an image becomes depends on seed, epoch and image alone: a resumed
    training sees what an uninterrupted one would have seen. Each batch is one
    gather; tensors of the backend stay on their device.

    Args:
        arrays: as in `ArrayBatches`; the first is an array of images
            `(samples, height, width, channels)`.
        batch_size: int.
        seed: int, of the order and the augmentation.
        shift: int, the largest shift in pixels. Defaults to `2`.
        flip: bool, whether to mirror images from left to right. Defaults to
            `True`.
        drop_remainder: bool, as in `ArrayBatches`. Defaults to `False`.

    Raises:
        TypeError, ValueError: as `ArrayBatches`, and if the images have
            another shape or `shift` does not fit them.

    Example:

    ```python
    train, _, test = keras_ff.datasets.load_arrays("cifar10", ...)
    train = keras.tree.map_structure(keras.ops.convert_to_tensor, train)
    batches = keras_ff.datasets.AugmentedBatches(train, 250, seed=0)
    model.fit(batches, epochs=6)
    ```

    Reference:

    - [Jordan, 2024](https://arxiv.org/abs/2404.00498), section 3.5
    """

    def __init__(
        self,
        arrays: tuple[Tensor, ...],
        batch_size: int,
        seed: int,
        shift: int = 2,
        flip: bool = True,
        drop_remainder: bool = False,
    ) -> None:
        check_integer("seed", seed, minimum=0)
        check_integer("shift", shift, minimum=0)
        shape: Shape = tuple(getattr(tree.flatten(arrays)[0], "shape", ()))
        if len(shape) != 4:
            raise ValueError(
                "AugmentedBatches takes images of shape (samples, height, "
                f"width, channels). Received: an array of shape {shape}"
            )
        if shift >= min(shape[1:3]):
            raise ValueError(
                "`shift` must be less than the images' side. Received: "
                f"shift={shift}, images of shape {shape[1:]}"
            )
        self._shift = shift
        self._flip = flip
        self._height, self._width = shape[1:3]
        self._drawn = None
        super().__init__(arrays, batch_size, seed, drop_remainder)
        # All pixels of all images in a row, once: JAX copies to reshape.
        images, *others = arrays
        reshape = ops.reshape if ops.is_tensor(images) else np.reshape
        self._pixels = reshape(images, (-1, shape[-1]))
        self._arrays = (self._pixels, *others)

    def _draws(self):
        """Shifts, and which images are mirrored, of this epoch."""
        if self._drawn is None or self._drawn[0] != self._epoch:
            # Another stream than the order's, and one for the halves.
            generator = np.random.default_rng([self._seed_now, self._epoch, 1])
            shifts = np.arange(-self._shift, self._shift + 1)
            top, left = generator.choice(shifts, (2, self._size))
            halves = np.random.default_rng([self._seed_now, 2])
            mirrored = halves.random(self._size) < 0.5
            mirrored = self._flip & (mirrored == bool(self._epoch % 2))
            self._drawn = self._epoch, (top, left, mirrored)
        return self._drawn[1]

    def _take(self, array, rows):
        if array is not self._pixels:
            return super()._take(array, rows)
        top, left, mirrored = (draws[rows, None] for draws in self._draws())
        height = _mirror(top + np.arange(self._height), self._height)
        width = _mirror(left + np.arange(self._width), self._width)
        width = np.where(mirrored, self._width - 1 - width, width)
        # The number of each pixel among all pixels of all images.
        pixels = rows[:, None] * self._height + height
        pixels = pixels[:, :, None] * self._width + width[:, None, :]
        return super()._take(array, pixels.astype("int32"))


def _mirror(positions, size):
    """Positions outside of an image, mirrored at its first and last pixel."""
    positions = np.abs(positions)
    return np.minimum(positions, 2 * (size - 1) - positions)
