import keras
from keras import ops

from keras_ff.type_aliases import Config
from keras_ff.type_aliases import Tensor


class AssignmentRegularizer(keras.regularizers.Regularizer):
    """Base class of penalties on a channel-class assignment `M`.

    A subclass implements `penalty(assignment)`. The regularizer gives
    `factor * ramp(epoch) * penalty(M)`, where the ramp grows linearly from 0
    to 1 over the first `warmup_epochs` epochs.

    Args:
        factor: float, at least 0.
        warmup_epochs: int, at least 0. Defaults to `0`, full strength from
            the first epoch.
        scale: `"published"` or `"normalized"`, see the subclass.

    Call arguments:
        assignment: tensor of shape `(channels, num_classes)`, rows sum to 1.
        epoch: scalar, the number of finished epochs. `None` means full
            strength.

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(
        self, factor: float, warmup_epochs: int = 0, scale: str = "published"
    ) -> None:
        if factor < 0:
            raise ValueError(
                f"`factor` must be at least 0. Received: factor={factor}"
            )
        if warmup_epochs < 0:
            raise ValueError(
                "`warmup_epochs` must be at least 0. "
                f"Received: warmup_epochs={warmup_epochs}"
            )
        if scale not in ("published", "normalized"):
            raise ValueError(
                "`scale` must be 'published' or 'normalized'. "
                f"Received: scale={scale!r}"
            )
        self.factor = factor
        self.warmup_epochs = warmup_epochs
        self.scale = scale

    def penalty(self, assignment: Tensor) -> Tensor:
        raise NotImplementedError

    def __call__(
        self, assignment: Tensor, epoch: Tensor | None = None
    ) -> Tensor:
        strength = self.factor
        if self.warmup_epochs and epoch is not None:
            ramp = ops.cast(epoch, assignment.dtype) / self.warmup_epochs
            strength = strength * ops.minimum(1.0, ramp)
        return strength * self.penalty(assignment)

    def get_config(self) -> Config:
        return {
            "factor": self.factor,
            "warmup_epochs": self.warmup_epochs,
            "scale": self.scale,
        }
