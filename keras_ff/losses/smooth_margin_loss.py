import keras
from keras import ops

from keras_ff.labels import class_rows
from keras_ff.losses.label_loss import LabelLoss
from keras_ff.type_aliases import Config
from keras_ff.type_aliases import Tensor


@keras.saving.register_keras_serializable(package="keras_ff")
class SmoothMarginLoss(LabelLoss):
    """A smooth margin between the right class's score and the others'.

    The local objective of hyperspherical prototypes, softmax cross-entropy
    on `scale * (score - margin * one_hot(y))`:

    ```
    softplus(logsumexp_{k != y}(scale * s_k) - scale * (s_y - margin))
    ```

    It falls to zero once the right class leads by the margin; the larger the
    scale, the sharper the bend. The scores are cosines, so 2 is the largest
    lead there is. A label outside `[0, num_classes)` gives NaN.

    Args:
        margin: float in `[0, 2]`, the wanted lead of the right class.
            Defaults to `0.25`.
        scale: positive float, the inverse temperature of the cosines.
            Defaults to `8.0`.
        reduction: as in `keras.losses.Loss`. Defaults to
            `"sum_over_batch_size"`.
        name: string, the loss's name.
        dtype: the dtype of the computation, no less than float32.

    Call arguments:
        y_true: class numbers of shape `(batch,)` or `(batch, 1)`, or rows of
            class probabilities of shape `(batch, num_classes)`.
        y_pred: class scores of shape `(batch, num_classes)`.

    Raises:
        ValueError: if `margin` or `scale` is out of range, or the labels have
            another shape.

    Example:

    ```python
    loss = keras_ff.losses.SmoothMarginLoss(margin=0.25, scale=8.0)
    model.compile(optimizer="adam", loss=loss)
    ```

    Reference:

    - [Sarode et al., 2026](https://arxiv.org/abs/2605.00082). The formula is
      not published; this is the additive cosine margin of
      [Wang et al., 2018](https://arxiv.org/abs/1801.09414), equation 4.
    """

    def __init__(
        self,
        margin: float = 0.25,
        scale: float = 8.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "smooth_margin_loss",
        dtype: str | keras.DTypePolicy | None = None,
    ) -> None:
        if not 0.0 <= margin <= 2.0:
            raise ValueError(
                "`margin` must be in [0, 2]: cosines differ by at most 2. "
                f"Received: margin={margin}"
            )
        if not 0.0 < scale < float("inf"):
            raise ValueError(
                f"`scale` must be positive and finite. Received: scale={scale}"
            )
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.margin = margin
        self.scale = scale

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        y_pred = ops.convert_to_tensor(y_pred)
        y_true = class_rows(y_true, y_pred)
        return keras.losses.categorical_crossentropy(
            y_true,
            self.scale * (y_pred - self.margin * y_true),
            from_logits=True,
        )

    def get_config(self) -> Config:
        config = super().get_config()
        config.update(margin=self.margin, scale=self.scale)
        return config
