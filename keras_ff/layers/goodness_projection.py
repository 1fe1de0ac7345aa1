import keras
from keras import ops

from keras_ff.layers.goodness_head import GoodnessHead


@keras.saving.register_keras_serializable(package="keras_ff")
class GoodnessProjection(GoodnessHead):
    """Goodness by a learned linear map of the activation.

    The head of Mono-Forward: `goodness = pool(activation) @ kernel`, in
    float32.

    Args:
        num_classes: int, at least 2.
        pooling: how a map becomes a vector: `"average"` (over all positions)
            or `"flatten"` (every position has its own weights). Defaults to
            `"average"`.
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

    def __init__(
        self,
        num_classes,
        pooling="average",
        use_bias=False,
        kernel_initializer="glorot_uniform",
        kernel_regularizer=None,
        data_format=None,
        **kwargs,
    ):
        super().__init__(num_classes, data_format, **kwargs)
        if pooling not in ("average", "flatten"):
            raise ValueError(
                "`pooling` must be 'average' or 'flatten'. "
                f"Received: pooling={pooling!r}"
            )
        self.pooling = pooling
        self.projection = keras.layers.Dense(
            num_classes,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            kernel_regularizer=kernel_regularizer,
            dtype="float32",
            name="projection",
        )

    def build(self, input_shape):
        self.projection.build(self._pooled_shape(input_shape))

    def _pooled_shape(self, input_shape):
        if self.pooling == "flatten":
            size = 1
            for dimension in input_shape[1:]:
                size *= dimension
            return (input_shape[0], size)
        axes = self.spatial_axes(input_shape)
        return tuple(n for i, n in enumerate(input_shape) if i not in axes)

    def call(self, inputs):
        x = ops.cast(inputs, "float32")
        axes = self.spatial_axes(x.shape)
        if self.pooling == "flatten":
            x = ops.reshape(x, (-1, self.projection.kernel.shape[0]))
        elif axes:
            x = ops.mean(x, axis=axes)
        return self.projection(x)

    def get_config(self):
        config = super().get_config()
        projection = self.projection.get_config()
        config.update(
            pooling=self.pooling,
            use_bias=projection["use_bias"],
            kernel_initializer=projection["kernel_initializer"],
            kernel_regularizer=projection["kernel_regularizer"],
        )
        return config
