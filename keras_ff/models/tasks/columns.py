import numpy as np
from keras import ops

from keras_ff.labels import largest
from keras_ff.labels import shape_of
from keras_ff.models.tasks.task import Task


class Columns(Task):
    """Base class of tasks with a target of its own for every column."""

    # What an error calls losses of this task.
    kind = None

    def check_shape(self, y):
        shape = shape_of(y)
        if shape[1:] == (self.columns,) or (
            len(shape) == 1 and self.columns == 1
        ):
            return
        or_flat = " or (batch,)" if self.columns == 1 else ""
        raise ValueError(
            f"{self.noun} of a loss of {self.kind} must have the shape of the "
            f"prediction, (batch, {self.columns}){or_flat}. Received: "
            f"{self.noun.lower()} of shape {shape}"
        )

    def check(self, y):
        if y is None:
            raise ValueError(f"{self.noun} are needed. Received: y=None")
        y = ops.convert_to_numpy(y) if ops.is_tensor(y) else np.asarray(y)
        if y.dtype.kind not in "iufb":
            raise TypeError(
                f"{self.noun} must be numbers. Received: {self.noun.lower()} "
                f"of dtype {y.dtype}"
            )
        self.check_shape(y)
        wrong = ~self.fits(y.astype("float32"))
        if wrong.any():
            position = int(np.argmax(wrong.reshape(len(y), -1).any(axis=1)))
            raise ValueError(
                f"{self.rule} Received: {y[wrong][0]} (at position "
                f"{position}; {int(wrong.sum())} such numbers)"
            )

    def count_wrong(self, y):
        y = ops.cast(y, "float32")
        right = self.fits(y)
        number = ops.sum(1.0 - ops.cast(right, "float32"))
        return number, largest(ops.where(right, -float("inf"), y))

    def fits(self, y):
        """Which targets, float32 in an array or a tensor, are right."""
        raise NotImplementedError

    def standardized(self, y):
        return ops.reshape(y, (-1, self.columns))
