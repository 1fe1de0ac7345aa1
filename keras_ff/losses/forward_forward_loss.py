import keras
from keras import ops

from keras_ff.labels import class_rows
from keras_ff.losses.label_loss import LabelLoss
from keras_ff.type_aliases import Tensor


@keras.saving.register_keras_serializable(package="keras_ff")
class ForwardForwardLoss(LabelLoss):
    """Logistic loss that tells positive from negative data by goodness.

    ```
    softplus(-g_y) + mean_{k != y} softplus(g_k)
    ```

    with `g` the goodness above its threshold (see `keras_ff.layers.FFDense`)
    of candidate labels, one of which is right.

    Args:
        name, reduction, dtype: as in `keras.losses.Loss`.

    Call arguments:
        y_true: the number of the right candidate, of shape `(batch,)` or
            `(batch, 1)`, or one-hot rows of shape `(batch, candidates)`.
        y_pred: goodness of shape `(batch, candidates)`.

    Example:

    ```python
    model.compile(optimizer="adam", loss=keras_ff.losses.ForwardForwardLoss())
    ```

    Reference:

    - [Hinton, 2022](https://arxiv.org/abs/2212.13345), equation 1
    """

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        y_pred = ops.convert_to_tensor(y_pred)
        right = class_rows(y_true, y_pred)
        wrong = (1.0 - right) / (y_pred.shape[-1] - 1)
        losses = right * ops.softplus(-y_pred) + wrong * ops.softplus(y_pred)
        return ops.sum(losses, axis=-1)
