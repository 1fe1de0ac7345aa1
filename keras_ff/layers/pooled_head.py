from typing import Any

import keras
from keras import ops

from keras_ff.checks import is_integer
from keras_ff.layers.goodness_head import GoodnessHead
from keras_ff.layers.grid_average2d import GridAverage2D
from keras_ff.layers.masks import hide
from keras_ff.layers.masks import masked_mean
from keras_ff.type_aliases import Config
from keras_ff.type_aliases import DataFormat
from keras_ff.type_aliases import Shape
from keras_ff.type_aliases import Tensor


class PooledHead(GoodnessHead):
    """Base class of the heads that turn a map into a vector first.

    Args:
        num_classes: int, at least 2.
        pooling: how a map becomes a vector: `"average"` (over all positions),
            `"flatten"` (every position counts by itself), or an int `n`
            (averages over a grid of `n` by `n` cells, then as `"flatten"`;
            in a map of fewer pixels, cells share them).
            Nothing is pooled where there is no map. Steps that a mask hides
            are in no average and zero in `"flatten"`; a grid refuses masks.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to
            Keras's setting.
        **kwargs: base layer keyword arguments (`name`, `dtype`).
    """

    def __init__(
        self,
        num_classes: int,
        pooling: int | str,
        data_format: DataFormat | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_classes, data_format, **kwargs)
        self._grid = None
        if is_integer(pooling) and pooling > 0:
            pooling = int(pooling)
            self._grid = GridAverage2D(
                pooling,
                data_format=self.data_format,
                dtype=self.score_dtype,
                name="grid",
            )
        elif pooling not in ("average", "flatten"):
            raise ValueError(
                "`pooling` must be 'average', 'flatten' or a positive integer "
                f"(cells along a side). Received: pooling={pooling!r}"
            )
        self.pooling: Any = pooling

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        if self._grid is not None:
            # Where there is no map it is never called.
            self._grid.build(input_shape)

    def pool(self, activation: Tensor) -> Tensor:
        """The activation as float32 vectors, `(batch, features)`."""
        shown = self.shown(activation)
        x = ops.cast(activation, self.score_dtype)
        axes = self.spatial_axes(x.shape)
        if not axes:
            return x
        size = self.pooled_shape(x.shape)[1]
        if self.pooling == "average":
            return masked_mean(x, shown, axes)
        if self._grid is not None:
            self._check_not_masked(shown)
            x = self._grid(x)
        return ops.reshape(hide(x, shown), (-1, size))

    def compute_output_spec(
        self, inputs: Tensor, mask: Tensor | None = None
    ) -> keras.KerasTensor:
        if self._grid is not None:
            self._check_not_masked(self.shown(inputs))
        return super().compute_output_spec(inputs, mask)

    def _check_not_masked(self, shown):
        if shown is not None:
            raise ValueError(
                f"'{self.name}' ({type(self).__name__}) averages over a grid, "
                "whose cells know no mask: padding would change the goodness. "
                f"Received: pooling={self.pooling} and a map with a mask. Use "
                "pooling='average'."
            )

    def pooled_shape(self, shape: Shape) -> Shape:
        """The shape of the vectors of an activation of this shape."""
        axes = self.spatial_axes(shape)
        if self.pooling == "average" or not axes:
            return (shape[0], self.num_channels(shape))
        if self._grid is not None:
            if len(axes) != 2:
                raise ValueError(
                    "A grid needs a map with two axes. Received: pooling="
                    f"{self.pooling} and an activation of shape {tuple(shape)}"
                )
            return (shape[0], self.pooling**2 * self.num_channels(shape))
        size = self.num_channels(shape)
        for axis in axes:
            if shape[axis] is None:
                raise ValueError(
                    "pooling='flatten' needs maps of known size. Received: "
                    f"an activation of shape {tuple(shape)}"
                )
            size *= shape[axis]
        return (shape[0], size)

    def get_config(self) -> Config:
        config = super().get_config()
        config["pooling"] = self.pooling
        return config
