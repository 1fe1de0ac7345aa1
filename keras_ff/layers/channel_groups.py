import keras
from keras import ops

from keras_ff.layers.goodness_head import GoodnessHead
from keras_ff.layers.masks import masked_mean
from keras_ff.layers.masks import with_mask
from keras_ff.type_aliases import Shape
from keras_ff.type_aliases import Tensor


@keras.saving.register_keras_serializable(package="keras_ff")
class ChannelGroups(GoodnessHead):
    """Goodness by fixed groups of channels, one contiguous group a class.

    The head of DeeperForward (CW-Conv): the goodness of class `k` is the mean
    of the activation over the `k`-th of `num_classes` equal blocks of
    channels and over the map, in float32.

    Args:
        num_classes: int, at least 2. The number of channels must be a
            multiple of it.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to
            Keras's setting.
        **kwargs: base layer keyword arguments (`name`, `dtype`).

    Input shape:
        `(batch, ..., channels)`, any number of spatial axes.

    Output shape:
        `(batch, num_classes)`, float32.

    Raises:
        ValueError: if the channels are not a multiple of `num_classes`.

    Example:

    ```python
    goodness = keras_ff.layers.ChannelGroups(10)(activation)
    ```

    Reference:

    - [Sun et al., 2025](https://openreview.net/forum?id=kOYnXVQCtA)
    """

    def build(self, input_shape: Shape) -> None:
        channels = self.num_channels(input_shape)
        if channels % self.num_classes:
            raise ValueError(
                "Grouped goodness needs a number of channels that is a "
                f"multiple of num_classes={self.num_classes}. Received: "
                f"{channels} channels (input shape {tuple(input_shape)})"
            )

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        shown = self.shown(with_mask(inputs, mask))
        x = ops.cast(inputs, self.score_dtype)
        axes = self.spatial_axes(x.shape)
        if axes:
            x = masked_mean(x, shown, axes)
        size = x.shape[-1] // self.num_classes
        return ops.mean(ops.reshape(x, (-1, self.num_classes, size)), axis=-1)
