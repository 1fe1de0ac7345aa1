import collections.abc
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_ff.checks import check_images
from keras_ff.layers.map_order import in_backend_order
from keras_ff.type_aliases import Config
from keras_ff.type_aliases import Data
from keras_ff.type_aliases import DataFormat
from keras_ff.type_aliases import Shape
from keras_ff.type_aliases import Tensor

CHUNK = 256


@keras.saving.register_keras_serializable(package="keras_ff")
class Whitening2D(keras.layers.Layer):
    """Fixed convolution that whitens the patches of images, without labels.

    `adapt` takes the mean and the covariance of the patches of some images.
    The filters are the eigenvectors `v` of the covariance and their
    negatives:

    ```
    output = +-(patch - mean) . v / sqrt(eigenvalue + epsilon * variance)
    ```

    with `variance` the mean of the eigenvalues, so that the scale of the
    pixels does not matter. A rectifier that follows loses nothing, because
    both signs are there. Nothing of it is trained.

    Args:
        patch_size: int, the side of a patch. Defaults to `2`.
        epsilon: float, how much variance directions without any are taken to
            have, as a share of the mean variance. Defaults to `5e-4`.
        padding: `"valid"` or `"same"`, as in `keras.layers.Conv2D`. Defaults
            to `"valid"`.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to
            Keras's setting.
        **kwargs: base layer keyword arguments (`name`, `dtype`).

    Input shape:
        `(batch, height, width, channels)`, pixels on any scale.

    Output shape:
        `(batch, height, width, 2 * patch_size**2 * channels)`, with a smaller
        height and width if `padding` is `"valid"`.

    Raises:
        ValueError: if an argument is out of range, the layer is used before
            `adapt`, or adapted to too few images or to images of another
            number of channels.

    Example:

    ```python
    whitening = keras_ff.layers.Whitening2D()
    whitening.adapt(x_train[:5000])
    model = keras_ff.models.ForwardOnlyModel(
        [keras.Input((32, 32, 3)), whitening, keras_ff.layers.CAWConv2D(...)]
    )
    ```

    Reference:

    - [Jordan, 2024](https://arxiv.org/abs/2404.00498)
    """

    def __init__(
        self,
        patch_size: int = 2,
        epsilon: float = 5e-4,
        padding: str = "valid",
        data_format: DataFormat | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(patch_size, int) or patch_size < 1:
            raise ValueError(
                "`patch_size` must be a positive integer. "
                f"Received: patch_size={patch_size!r}"
            )
        if not 0 < epsilon < float("inf"):
            raise ValueError(
                "`epsilon` must be positive and finite. "
                f"Received: epsilon={epsilon}"
            )
        if padding not in ("valid", "same"):
            raise ValueError(
                "`padding` must be 'valid' or 'same'. "
                f"Received: padding={padding!r}"
            )
        self.patch_size = patch_size
        self.epsilon = epsilon
        self.padding = padding
        self.data_format = keras.config.image_data_format()
        if data_format is not None:
            self.data_format = data_format
        self._adapted = False

    @property
    def _channel_axis(self):
        return 1 if self.data_format == "channels_first" else -1

    def build(self, input_shape: Shape) -> None:
        check_images(f"Whitening2D '{self.name}'", input_shape)
        channels = input_shape[self._channel_axis]
        filters = 2 * self.patch_size**2 * channels

        def add(name, shape):
            return self.add_weight(
                name=name, shape=shape, initializer="zeros", trainable=False
            )

        side = self.patch_size
        self.kernel = add("kernel", (side, side, channels, filters))
        self.bias = add("bias", (filters,))

    def adapt(
        self,
        data: Data,
        batch_size: int | None = None,
        steps: int | None = None,
    ) -> None:
        """Takes the filters from the patches of images.

        Args:
            data: images, an array or tensor, or batches of them (a
                `tf.data.Dataset`, a `keras.utils.PyDataset` or any other
                iterable; of tuples, the first entry). 5,000 images are enough.
            batch_size: int, how many images of an array are worked on at a
                time. Defaults to `256`.
            steps: int, how many batches to take. Defaults to all.

        Raises:
            TypeError: if `data` are neither images nor batches.
            ValueError: if there are too few images, or they do not fit.
        """
        count, total, square = 0, 0.0, 0.0
        for images in image_batches(data, batch_size or CHUNK, steps):
            patches = self._patches(images)
            count += len(patches)
            total = total + patches.sum(axis=0)
            square = square + patches.T @ patches
        needed = self.patch_size**2 * self.kernel.shape[2] if self.built else 1
        if count <= needed:
            raise ValueError(
                f"Whitening2D needs more than {needed} patches of "
                f"{self.patch_size} x {self.patch_size} pixels, a few hundred "
                f"images at best. Received: {count} patches"
            )
        mean = total / count
        covariance = square / count - np.outer(mean, mean)
        if not np.all(np.isfinite(covariance)):
            raise ValueError(
                "The images must be finite. Received: NaN or infinity"
            )
        variance, vectors = np.linalg.eigh(covariance)
        variance = np.maximum(variance, 0)
        if not variance.any():
            raise ValueError(
                "The images must not all be of one color. Received: patches "
                "without variance"
            )
        # The direction of most variance first.
        vectors = vectors[:, ::-1]
        least = self.epsilon * variance.mean()
        filters = vectors / np.sqrt(variance[::-1] + least)
        filters = np.concatenate([filters, -filters], axis=1)
        self.kernel.assign(filters.reshape(self.kernel.shape))
        self.bias.assign(-mean @ filters)
        self._adapted = True

    def _patches(self, images):
        """All patches as float64 rows of a matrix."""
        check_images(f"Whitening2D '{self.name}'", images.shape)
        if not self.built:
            self.build(images.shape)
            self.built = True
        channels = images.shape[self._channel_axis]
        if channels != self.kernel.shape[2]:
            raise ValueError(
                f"This Whitening2D takes images with {self.kernel.shape[2]} "
                f"channels. Received: images of shape {images.shape}"
            )
        if self.data_format == "channels_first":
            images = np.moveaxis(images, 1, -1)
        side = self.patch_size
        if min(images.shape[1:3]) < side:
            raise ValueError(
                f"The images must be at least {side} x {side} pixels. "
                f"Received: images of shape {images.shape}"
            )
        windows = np.lib.stride_tricks.sliding_window_view(
            images.astype("float64"), (side, side), axis=(1, 2)
        )
        # As the kernel: rows, columns, channels.
        windows = np.moveaxis(windows, 3, -1)
        return windows.reshape(-1, side * side * channels)

    def call(self, inputs: Tensor) -> Tensor:
        if not self._adapted:
            self._check_adapted()
        dtype = self.compute_dtype
        # Dark and light patches differ by less than bfloat16 resolves.
        x = ops.cast(inputs, "float32")
        x = in_backend_order(
            ops.conv,
            x,
            self.data_format,
            kernel=ops.cast(self.kernel, "float32"),
            padding=self.padding,
        )
        shape = [1] * 4
        shape[self._channel_axis] = -1
        x = x + ops.reshape(ops.cast(self.bias, "float32"), shape)
        return ops.cast(x, dtype)

    def _check_adapted(self):
        """Weights may also have been set, by `set_weights` of a model."""
        try:
            self._adapted = bool(np.any(ops.convert_to_numpy(self.kernel)))
        except Exception:  # A backend's tracing: there is nothing to read.
            self._adapted = False
        if not self._adapted:
            raise ValueError(
                f"Whitening2D '{self.name}' is used before it has seen "
                "images. Call `keras_ff.models.adapt_whitening(model, images)` "
                "first; alone, the layer's own `adapt(images)`."
            )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        shape = list(input_shape)
        first = self.data_format == "channels_first"
        for axis in (2, 3) if first else (1, 2):
            if self.padding == "valid" and shape[axis] is not None:
                shape[axis] -= self.patch_size - 1
        channels = shape[self._channel_axis]
        shape[self._channel_axis] = 2 * self.patch_size**2 * channels
        return tuple(shape)

    def compute_output_spec(self, inputs: Tensor) -> keras.KerasTensor:
        shape = self.compute_output_shape(inputs.shape)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def load_own_variables(self, store: Any) -> None:
        super().load_own_variables(store)
        self._adapted = bool(np.any(ops.convert_to_numpy(self.kernel)))

    def get_config(self) -> Config:
        config = super().get_config()
        config.update(
            patch_size=self.patch_size,
            epsilon=self.epsilon,
            padding=self.padding,
            data_format=self.data_format,
        )
        return config


def image_batches(data, batch_size, steps=None):
    """NumPy batches of images, of arrays or of batches with labels."""
    if hasattr(data, "shape"):
        array, starts = data, range(0, data.shape[0], batch_size)
        data = (array[start : start + batch_size] for start in starts)
    elif isinstance(data, tuple) and any(hasattr(x, "shape") for x in data):
        raise TypeError(
            "`data` must be images, or batches of them. Received: a tuple of "
            f"{len(data)} arrays. Give the images alone: data[0]"
        )
    elif not isinstance(data, collections.abc.Iterable):
        raise TypeError(
            "`data` must be images, an array or tensor, or an iterable of "
            f"batches. Received: {data!r} of type {type(data).__name__}"
        )
    for step, batch in enumerate(data):
        if step == steps:
            return
        if isinstance(batch, (tuple, list)):
            batch = batch[0]
        yield np.asarray(ops.convert_to_numpy(batch))
