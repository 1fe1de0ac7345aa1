from typing import Any

import keras

from keras_ff.layers.masks import with_mask
from keras_ff.layers.pooled_head import PooledHead
from keras_ff.type_aliases import Config
from keras_ff.type_aliases import DataFormat
from keras_ff.type_aliases import Initializer
from keras_ff.type_aliases import Regularizer
from keras_ff.type_aliases import Shape
from keras_ff.type_aliases import Tensor


@keras.saving.register_keras_serializable(package="keras_ff")
class GoodnessProjection(PooledHead):
    """Goodness by a learned linear map of the activation.

    The head of Mono-Forward: `goodness = pool(activation) @ kernel`, in
    float32.

    Args:
        num_classes: int, the number of columns. `1` for one logit of two
            classes, or for regression.
        pooling: how a map becomes a vector: `"average"` (over all positions),
            `"flatten"` (every position has its own weights) or an int `n`
            (a grid of `n` by `n` averages). Defaults to `"average"`.
        use_bias: bool, whether a bias is added. Defaults to `False`.
        kernel_initializer: initializer of the map. Defaults to
            `"glorot_uniform"`.
        kernel_regularizer: regularizer of the map. Defaults to `None`.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to
            Keras's setting.
        **kwargs: base layer keyword arguments (`name`, `dtype`).

    Input shape:
        `(batch, ..., channels)`, any number of spatial axes.

    Output shape:
        `(batch, num_classes)`, float32.

    Raises:
        ValueError: if `pooling` is unknown.

    Example:

    ```python
    block = keras_ff.layers.LocalBlock(
        keras.layers.Dense(256, activation="relu"),
        goodness=keras_ff.layers.GoodnessProjection(10),
    )
    ```

    Reference:

    - [Gong et al., 2025](https://arxiv.org/abs/2501.09238)
    """

    _fewest_columns = 1
    independent_classes = True

    def __init__(
        self,
        num_classes: int,
        pooling: int | str = "average",
        use_bias: bool = False,
        kernel_initializer: Initializer = "glorot_uniform",
        kernel_regularizer: Regularizer | None = None,
        data_format: DataFormat | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_classes, pooling, data_format, **kwargs)
        self.projection = keras.layers.Dense(
            self.num_classes,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            kernel_regularizer=kernel_regularizer,
            dtype=self.score_dtype,
            name="projection",
        )

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        self.projection.build(self.pooled_shape(input_shape))

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.projection(self.pool(with_mask(inputs, mask)))

    def get_config(self) -> Config:
        config = super().get_config()
        projection = self.projection.get_config()
        config.update(
            use_bias=projection["use_bias"],
            kernel_initializer=projection["kernel_initializer"],
            kernel_regularizer=projection["kernel_regularizer"],
        )
        return config
