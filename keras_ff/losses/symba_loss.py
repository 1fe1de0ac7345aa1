import keras
from keras import ops

from keras_ff.labels import class_rows
from keras_ff.losses.label_loss import LabelLoss
from keras_ff.type_aliases import Config
from keras_ff.type_aliases import Tensor


@keras.saving.register_keras_serializable(package="keras_ff")
class SymBaLoss(LabelLoss):
    """SymBa's symmetric loss of positive against negative goodness.

    ```
    mean_{k != y} softplus(-alpha * (g_y - g_k))
    ```

    The threshold of `keras_ff.losses.ForwardForwardLoss` cancels out.

    Args:
        alpha: positive float, the steepness. SymBa's goodness is a mean of
            squares. Defaults to `4.0`, as published.
        reduction: as in `keras.losses.Loss`. Defaults to
            `"sum_over_batch_size"`.
        name: string, the loss's name.
        dtype: the dtype of the computation, no less than float32.

    Call arguments:
        y_true: the number of the right candidate, of shape `(batch,)` or
            `(batch, 1)`, or one-hot rows of shape `(batch, candidates)`.
        y_pred: goodness of shape `(batch, candidates)`.

    Raises:
        ValueError: if `alpha` is not positive.

    Example:

    ```python
    model.compile(optimizer="adam", loss=keras_ff.losses.SymBaLoss())
    ```

    Reference:

    - [Lee and Song, 2023](https://arxiv.org/abs/2303.08418)
    """

    def __init__(
        self,
        alpha: float = 4.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "symba_loss",
        dtype: str | keras.DTypePolicy | None = None,
    ) -> None:
        if not 0.0 < alpha < float("inf"):
            raise ValueError(
                f"`alpha` must be positive and finite. Received: alpha={alpha}"
            )
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.alpha = alpha

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        y_pred = ops.convert_to_tensor(y_pred)
        right = class_rows(y_true, y_pred)
        lead = ops.sum(right * y_pred, axis=-1, keepdims=True) - y_pred
        losses = (1.0 - right) * ops.softplus(-self.alpha * lead)
        return ops.sum(losses, axis=-1) / (y_pred.shape[-1] - 1)

    def get_config(self) -> Config:
        config = super().get_config()
        config["alpha"] = self.alpha
        return config
