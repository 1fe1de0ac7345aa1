from typing import Any

import keras
from keras import ops

from keras_ff.checks import check_integer
from keras_ff.layers.local_objective import LocalObjective
from keras_ff.layers.map_order import in_backend_order
from keras_ff.layers.unit_norm import unit_norm
from keras_ff.layers.unit_norm import without_dead
from keras_ff.type_aliases import Config
from keras_ff.type_aliases import DataFormat
from keras_ff.type_aliases import Shape
from keras_ff.type_aliases import Tensor


@keras.saving.register_keras_serializable(package="keras_ff")
class SimilarityMatching(LocalObjective):
    """The similarities of a batch's features become those of its labels.

    ```
    loss_i = mean_j((S(g(h))_ij - S(labels)_ij)^2)
    ```

    `g` is a learned convolution without bias (a dense layer where there is
    no map) with as many channels as the features `h`. `S(x)_ij` is the
    cosine of `x_i` and `x_j`, each centered over its own numbers; of a map,
    its numbers are the standard deviations of the channels over space, or
    where it is one pixel the channels themselves. One-hot labels of the same
    class have the similarity 1, others `-1 / (num_classes - 1)`. The mean is
    over all samples of a weight other than zero, `i` itself too.

    Together with the cross-entropy of a projection it is predsim.

    Args:
        weight: float, at least 0, over the loss of the goodness. Published
            are 0.99 of this and 0.01 of the cross-entropy. Defaults to
            `99.0`, which Adam and Muon, to which the scale of a gradient
            means nothing, cannot tell from that; divide the learning rate of
            plain gradient descent by 100.
        kernel_size: int, of the convolution. Defaults to `3`.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to
            Keras's setting.
        **kwargs: base layer keyword arguments (`name`, `dtype`).

    Input shape:
        `(batch, ..., channels)`, up to three spatial axes.

    Output shape:
        `(batch,)`.

    Raises:
        ValueError: if an argument is out of range, or the features have more
            than three spatial axes.
        TypeError: if an argument is of another type.

    Example:

    ```python
    block = keras_ff.layers.LocalBlock(
        [
            keras.layers.Conv2D(128, 3, padding="same", use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.LeakyReLU(0.01),
        ],
        goodness=keras_ff.layers.GoodnessProjection(10, pooling=4),
        objectives=[keras_ff.objectives.SimilarityMatching()],
    )
    ```

    Reference:

    - [Nøkland and Eidnes, 2019](https://arxiv.org/abs/1901.06656), Eq. 1,
      and the released code
    """

    needs_classes = True

    def __init__(
        self,
        weight: float = 99.0,
        kernel_size: int = 3,
        data_format: DataFormat | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(weight, **kwargs)
        check_integer("kernel_size", kernel_size, minimum=1)
        data_format = data_format or keras.config.image_data_format()
        if data_format not in ("channels_last", "channels_first"):
            raise ValueError(
                "`data_format` must be 'channels_last' or 'channels_first'. "
                f"Received: data_format={data_format!r}"
            )
        self.kernel_size = int(kernel_size)
        self.data_format = data_format

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        axes = len(input_shape) - 2
        if axes > 3:
            raise ValueError(
                "Similarity matching takes features with up to three spatial "
                f"axes. Received: features of shape {tuple(input_shape)}"
            )
        channels = self._num_channels(input_shape)
        self.kernel = self.add_weight(
            name="kernel", shape=(*axes * [self.kernel_size], *2 * [channels])
        )

    def project(self, features: Tensor) -> Tensor:
        features = ops.cast(features, self.compute_dtype)
        kernel = ops.cast(self.kernel, self.compute_dtype)
        if len(features.shape) == 2:
            return ops.matmul(features, kernel)
        return in_backend_order(
            ops.conv, features, self.data_format, kernel=kernel, padding="same"
        )

    def sample_losses(
        self, projection: Tensor, labels: Tensor, present: Tensor
    ) -> Tensor:
        found = _similarities(self._spread(projection))
        wanted = _similarities(labels)
        distance = ops.square(found - wanted) * present
        number = ops.sum(present)
        return ops.sum(distance, axis=-1) / ops.where(number > 0, number, 1.0)

    def _spread(self, maps):
        """The standard deviation of every channel, `(batch, channels)`."""
        first = 2 if self.data_format == "channels_first" else 1
        axes = tuple(range(first, first + len(maps.shape) - 2))
        if all(maps.shape[axis] == 1 for axis in axes):
            return ops.reshape(maps, (-1, self._num_channels(maps.shape)))
        centered = maps - ops.mean(maps, axis=axes, keepdims=True)
        variance = ops.mean(ops.square(centered), axis=axes)
        # The root has no gradient at 0.
        return ops.sqrt(ops.maximum(variance, 1e-12))

    def _num_channels(self, shape):
        first = self.data_format == "channels_first" and len(shape) > 2
        return shape[1 if first else -1]

    def get_config(self) -> Config:
        config = super().get_config()
        config.update(
            kernel_size=self.kernel_size, data_format=self.data_format
        )
        return config


def _similarities(x):
    """The cosines of centered rows, `(batch, batch)`."""
    centered = x - ops.mean(x, axis=-1, keepdims=True)
    unit = unit_norm(without_dead(centered))
    return ops.matmul(unit, ops.transpose(unit))
