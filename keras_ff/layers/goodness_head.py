from typing import Any

import keras

from keras_ff.checks import check_num_classes
from keras_ff.dtypes import at_least_float32
from keras_ff.keras_private import mask_of
from keras_ff.layers.composite_layer import CompositeLayer
from keras_ff.layers.masks import along
from keras_ff.type_aliases import Config
from keras_ff.type_aliases import DataFormat
from keras_ff.type_aliases import Shape
from keras_ff.type_aliases import Tensor


class GoodnessHead(CompositeLayer):
    """Base class of the goodness heads: from an activation to class scores.

    A subclass implements `call(activation, mask=None)`, which computes in
    `score_dtype`: float32, or float64 under a policy of float64. What it pools
    leaves out the steps that a mask hides.

    Args:
        num_classes: int, at least 2.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to
            Keras's setting.
        **kwargs: base layer keyword arguments (`name`, `dtype`).

    Attributes:
        independent_classes: bool, whether the score of a class does not
            depend on what other classes there are, so that
            `keras_ff.models.add_classes` may add some. Defaults to `False`.

    Input shape:
        `(batch, ..., channels)`, any number of spatial axes.

    Output shape:
        `(batch, num_classes)`, float32.
    """

    # One column may be a logit of two classes, or a value.
    _fewest_columns = 2

    independent_classes = False

    def __init__(
        self,
        num_classes: int,
        data_format: DataFormat | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_classes = check_num_classes(num_classes, self._fewest_columns)
        data_format = data_format or keras.config.image_data_format()
        if data_format not in ("channels_last", "channels_first"):
            raise ValueError(
                "`data_format` must be 'channels_last' or 'channels_first'. "
                f"Received: data_format={data_format!r}"
            )
        self.data_format = data_format

    @property
    def score_dtype(self) -> str:
        """The dtype of the scores and of what they are computed from."""
        return score_dtype(self)

    def num_channels(self, shape: Shape) -> int:
        """The number of channels of an activation of this shape."""
        first = self.data_format == "channels_first" and len(shape) > 2
        return shape[1 if first else -1]

    def spatial_axes(self, shape: Shape) -> tuple[int, ...]:
        """The axes of an activation besides batch and channels."""
        first = 2 if self.data_format == "channels_first" else 1
        return tuple(range(first, first + len(shape) - 2))

    def shown(self, activation: Tensor) -> Tensor | None:
        """Where a map is no padding, in as many axes, or `None`."""
        mask = mask_of(activation)
        axes = self.spatial_axes(activation.shape)
        if mask is None or not axes:
            return None
        return along(activation, mask, axes[0])

    def compute_mask(
        self, inputs: Tensor, previous_mask: Tensor | None = None
    ) -> None:
        """`None`: goodness has no steps."""

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], self.num_classes)

    def compute_output_spec(
        self, inputs: Tensor, mask: Tensor | None = None
    ) -> keras.KerasTensor:
        shape = self.compute_output_shape(inputs.shape)
        return keras.KerasTensor(shape, dtype=self.score_dtype)

    def __repr__(self):
        return (
            f"<{type(self).__name__} name={self.name}, "
            f"num_classes={self.num_classes}, built={self.built}>"
        )

    def get_config(self) -> Config:
        config = super().get_config()
        config["num_classes"] = self.num_classes
        config["data_format"] = self.data_format
        return config


def score_dtype(layer):
    """What a layer scores in: its own dtype, if that is not below float32."""
    return at_least_float32(layer.compute_dtype)
