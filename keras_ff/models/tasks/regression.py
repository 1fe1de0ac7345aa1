import numpy as np
from keras import ops

from keras_ff.models.tasks.columns import Columns


class Regression(Columns):
    """A value in every column, which every layer predicts by itself."""

    name = "regression"
    kind = "regression"
    noun = "Targets"
    averages = True
    has_accuracy = False
    rule = "Targets must be finite."

    def fits(self, y):
        if isinstance(y, np.ndarray):
            return np.isfinite(y)
        return ops.isfinite(y)

    def metrics(self, metrics, weighted_metrics):
        return ["mae"] if metrics is None else metrics, weighted_metrics
