import keras
from keras import ops

from keras_ff.layers.goodness_head import score_dtype


@keras.saving.register_keras_serializable(package="keras_ff")
class SquaredGoodness(keras.layers.Layer):
    """Goodness by the squares of the activation above a threshold.

    The head of the original Forward-Forward: it does not score classes but
    how much a layer likes its input. `goodness = sum_j(h_j^2 - threshold)`,
    or the mean over the units `j`, in float32.

    Args:
        reduction: `"sum"` or `"mean"` over the units. Defaults to `"sum"`.
        threshold: float, what a unit's square is compared with. Defaults to
            `1.0`.
        **kwargs: base layer keyword arguments (`name`, `dtype`).

    Input shape:
        `(..., units)`.

    Output shape:
        The input's without its last axis, float32.

    Raises:
        ValueError: if `reduction` is unknown or `threshold` is negative.

    Example:

    ```python
    goodness = SquaredGoodness()(activation)
    ```

    Reference:

    - [Hinton, 2022](https://arxiv.org/abs/2212.13345), equation 1
    """

    def __init__(self, reduction="sum", threshold=1.0, **kwargs):
        super().__init__(**kwargs)
        if reduction not in ("sum", "mean"):
            raise ValueError(
                "`reduction` must be 'sum' or 'mean'. "
                f"Received: reduction={reduction!r}"
            )
        if not 0.0 <= threshold < float("inf"):
            raise ValueError(
                "`threshold` must be at least 0 and finite. "
                f"Received: threshold={threshold}"
            )
        self.reduction = reduction
        self.threshold = threshold

    def call(self, inputs):
        excess = ops.square(ops.cast(inputs, score_dtype(self)))
        excess = excess - self.threshold
        reduce = ops.sum if self.reduction == "sum" else ops.mean
        return reduce(excess, axis=-1)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape[:-1])

    def compute_output_spec(self, inputs):
        shape = self.compute_output_shape(inputs.shape)
        return keras.KerasTensor(shape, dtype=score_dtype(self))

    def get_config(self):
        config = super().get_config()
        config.update(reduction=self.reduction, threshold=self.threshold)
        return config
