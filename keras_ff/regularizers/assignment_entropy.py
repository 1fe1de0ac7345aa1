import keras
from keras import ops

from keras_ff.regularizers.assignment_regularizer import AssignmentRegularizer
from keras_ff.type_aliases import Tensor


@keras.saving.register_keras_serializable(package="keras_ff")
class AssignmentEntropy(AssignmentRegularizer):
    """Entropy of a channel-class assignment: drives channels to few classes.

    `factor * mean_k(-sum_c M_ck ln(M_ck + 1e-10))`. The published scale grows
    with `channels / num_classes`; `scale="normalized"` averages the entropy
    over the channels instead, between 0 and `ln(num_classes)`.

    Args:
        factor: float. Defaults to `1e-2`, as published.
        warmup_epochs: int, epochs of linear growth. Defaults to `0`.
        scale: `"published"` or `"normalized"`. Defaults to `"published"`.

    Example:

    ```python
    layer = keras_ff.layers.CAWConv2D(
        100, 3, num_classes=10,
        assignment_regularizers=[keras_ff.regularizers.AssignmentEntropy()],
    )
    ```

    Reference:

    - [Ghader et al., 2026](https://arxiv.org/abs/2606.09928), entropy term
      of the local loss
    """

    def __init__(
        self,
        factor: float = 1e-2,
        warmup_epochs: int = 0,
        scale: str = "published",
    ) -> None:
        super().__init__(factor, warmup_epochs, scale)

    def penalty(self, assignment: Tensor) -> Tensor:
        entropy = -ops.sum(assignment * ops.log(assignment + 1e-10))
        channels, num_classes = assignment.shape
        count = num_classes if self.scale == "published" else channels
        return entropy / count
