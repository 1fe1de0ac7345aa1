import keras
from keras import ops

from keras_ff.labels import class_rows
from keras_ff.losses.label_loss import LabelLoss
from keras_ff.type_aliases import Config
from keras_ff.type_aliases import Tensor


@keras.saving.register_keras_serializable(package="keras_ff")
class LocalCrossentropy(LabelLoss):
    """Softmax cross-entropy of one layer's goodness against the labels.

    The local objective of CAW-Conv, DeeperForward and Mono-Forward: goodness
    is used as logits. Labels may be class numbers or one-hot (or soft) rows.
    A label outside `[0, num_classes)` gives NaN, never a finite loss.

    Args:
        label_smoothing: float in `[0, 1)`. The share of the target that is
            spread evenly over all classes. Defaults to `0.0`.
        reduction: as in `keras.losses.Loss`. Defaults to
            `"sum_over_batch_size"`.
        name: string, the loss's name.
        dtype: the dtype of the computation, no less than float32.

    Call arguments:
        y_true: class numbers of shape `(batch,)` or `(batch, 1)`, or rows of
            class probabilities of shape `(batch, num_classes)`.
        y_pred: goodness of shape `(batch, num_classes)`.

    Raises:
        ValueError: if `label_smoothing` is outside `[0, 1)` or the labels
            have another shape.

    Example:

    ```python
    loss = keras_ff.losses.LocalCrossentropy(label_smoothing=0.1)
    model.compile(optimizer="adam", loss=loss)
    ```

    Reference:

    - [Ghader et al., 2026](https://arxiv.org/abs/2606.09928), label
      smoothing 0.1
    """

    def __init__(
        self,
        label_smoothing: float = 0.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "local_crossentropy",
        dtype: str | keras.DTypePolicy | None = None,
    ) -> None:
        if not 0.0 <= label_smoothing < 1.0:
            raise ValueError(
                "`label_smoothing` must be in [0, 1). "
                f"Received: label_smoothing={label_smoothing}"
            )
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.label_smoothing = label_smoothing

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        y_pred = ops.convert_to_tensor(y_pred)
        return keras.losses.categorical_crossentropy(
            class_rows(y_true, y_pred),
            y_pred,
            from_logits=True,
            label_smoothing=self.label_smoothing,
        )

    def get_config(self) -> Config:
        config = super().get_config()
        config["label_smoothing"] = self.label_smoothing
        return config
