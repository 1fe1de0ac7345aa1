import numpy as np
from keras import ops

from keras_ff.models.metric_rules import yes_or_no
from keras_ff.models.tasks.columns import Columns


class MultiLabel(Columns):
    """Yes or no in every column: several classes a sample, or one logit."""

    name = "multi_label"
    kind = "yes or no in every column"
    rule = "Labels of yes or no must be 0 or 1, or between (hinge losses too)."

    def __init__(self, columns):
        super().__init__(columns)
        self.num_classes = 2 if columns == 1 else None

    def fits(self, y):
        # A comparison with NaN is false.
        return (y >= 0) & (y <= 1)

    def metrics(self, metrics, weighted_metrics):
        metrics = ["accuracy"] if metrics is None else metrics
        return yes_or_no(metrics), yes_or_no(weighted_metrics)

    def rows(self, y, scores):
        y = ops.cast(y, scores.dtype)
        return ops.concatenate([1 - y, y], -1) if self.columns == 1 else y

    def class_numbers(self, y):
        y = ops.cast(ops.reshape(y, (-1,)), "float32")
        return ops.cast(y > 0.5, "float32")

    def right(self, y, scores):
        """The share of the columns that are right."""
        yes = ops.cast(self.standardized(y), "float32") > 0.5
        right = ops.equal(scores > 0, yes)
        return ops.mean(ops.cast(right, "float32"), axis=-1)

    def confidence(self, scores):
        """The larger probability, of yes or no, in the least sure column."""
        scores = np.abs(np.asarray(scores, "float64"))
        return 1 / (1 + np.exp(-scores.min(axis=-1)))
