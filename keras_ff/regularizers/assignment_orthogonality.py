import keras
from keras import ops

from keras_ff.regularizers.assignment_regularizer import AssignmentRegularizer
from keras_ff.type_aliases import Tensor


@keras.saving.register_keras_serializable(package="keras_ff")
class AssignmentOrthogonality(AssignmentRegularizer):
    """Overlap of the classes in a channel-class assignment.

    With `N` the assignment `M` whose class columns are divided by their
    Euclidean norm, the penalty is
    `factor * mean_ij((N^T N - I)_ij^2) / (num_classes^2 channels)`. That scale
    is numerically nil (below 1e-7); `scale="normalized"` drops the divisor,
    so that the penalty is between 0 and `factor`.

    Args:
        factor: float. Defaults to `1e-3`, as published.
        warmup_epochs: int, epochs of linear growth. Defaults to `50`, as
            published.
        scale: `"published"` or `"normalized"`. Defaults to `"published"`.

    Example:

    ```python
    regularizer = keras_ff.regularizers.AssignmentOrthogonality(
        1e-2, scale="normalized"
    )
    ```

    Reference:

    - [Ghader et al., 2026](https://arxiv.org/abs/2606.09928), orthogonality
      term of the local loss
    """

    def __init__(
        self,
        factor: float = 1e-3,
        warmup_epochs: int = 50,
        scale: str = "published",
    ) -> None:
        super().__init__(factor, warmup_epochs, scale)

    def penalty(self, assignment: Tensor) -> Tensor:
        channels, num_classes = assignment.shape
        # The square is bounded below: the root of a class without any share
        # has no gradient.
        square = ops.sum(ops.square(assignment), axis=0)
        norm = ops.sqrt(ops.maximum(square, 1e-20))
        columns = assignment / (norm + 1e-10)
        gram = ops.matmul(ops.transpose(columns), columns)
        overlap = ops.mean(
            ops.square(gram - ops.eye(num_classes, dtype=gram.dtype))
        )
        if self.scale == "published":
            overlap = overlap / (num_classes**2 * channels)
        return overlap
