import keras
from keras import ops

from keras_ff.checks import check_integer
from keras_ff.checks import check_number
from keras_ff.type_aliases import Config
from keras_ff.type_aliases import Tensor


@keras.saving.register_keras_serializable(package="keras_ff")
class Triangular(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises linearly, then falls linearly to zero.

    Args:
        peak: float, the largest learning rate.
        steps: int, the number of steps of the whole training.
        warmup: float in `[0, 1)`, the share of the steps in which it rises.
            Defaults to `0.1`.

    Raises:
        ValueError: if an argument is out of range.
        TypeError: if an argument is of another type.

    Example:

    ```python
    schedule = keras_ff.optimizers.Triangular(0.1, steps=epochs * len(train))
    model.compile(keras_ff.optimizers.Muon(schedule))
    ```
    """

    def __init__(self, peak: float, steps: int, warmup: float = 0.1) -> None:
        super().__init__()
        check_number("peak", peak, positive=True)
        # None: the training is too short for one step.
        check_integer("steps", steps, minimum=1)
        check_number("warmup", warmup)
        if not 0 <= warmup < 1:
            raise ValueError(
                f"`warmup` must be in [0, 1). Received: warmup={warmup}"
            )
        self.peak = peak
        self.steps = steps
        self.warmup = warmup

    def __call__(self, step: Tensor) -> Tensor:
        done = ops.cast(step, "float32") / self.steps
        falling = (1.0 - done) / (1.0 - self.warmup)
        # The first step is not lost to a rate of zero.
        rising = (done + 1.0 / self.steps) / max(self.warmup, 1e-7)
        return self.peak * ops.clip(ops.minimum(rising, falling), 0.0, 1.0)

    def get_config(self) -> Config:
        return {"peak": self.peak, "steps": self.steps, "warmup": self.warmup}
