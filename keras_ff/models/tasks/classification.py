import numpy as np
from keras import ops

from keras_ff.labels import check_label_shape
from keras_ff.labels import check_labels
from keras_ff.labels import class_numbers
from keras_ff.labels import class_rows
from keras_ff.labels import count_wrong
from keras_ff.labels import in_form
from keras_ff.labels import is_rows
from keras_ff.models.metric_rules import metrics_take_rows
from keras_ff.models.tasks.task import Task


class Classification(Task):
    """One class a sample: its number, or a row of class probabilities."""

    name = "classification"
    example = " Of a row, that is the sum or a wrong number in it."

    def __init__(self, columns):
        super().__init__(columns)
        self.num_classes = columns
        # Which form of labels the metrics take; `None` until it is known.
        self._metrics_take_rows = None

    @property
    def rule(self):
        return (
            f"Labels must be whole numbers in [0, {self.columns}), or rows of "
            "finite numbers that are not negative and sum to 1."
        )

    def check_columns(self, loss):
        if self.columns == 1:
            raise ValueError(
                "One column of goodness tells no classes apart. Received: "
                f"loss={loss!r}. For two classes use keras.losses."
                "BinaryCrossentropy(from_logits=True), or two columns; for "
                "regression a loss such as keras.losses.MeanSquaredError()."
            )

    def check_shape(self, y):
        check_label_shape(y, self.columns)

    def check(self, y):
        check_labels(y, self.columns, distributions=True)

    def count_wrong(self, y):
        return count_wrong(y, self.columns)

    def metrics(self, metrics, weighted_metrics):
        self._metrics_take_rows = metrics_take_rows([metrics, weighted_metrics])
        metrics = ["accuracy"] if metrics is None else metrics
        return metrics, weighted_metrics

    def of_metrics(self, y, scores):
        if self._metrics_take_rows is None:
            self._metrics_take_rows = is_rows(y)
        # Keras chooses what "accuracy" means by the first labels it sees.
        return in_form(y, self._metrics_take_rows, scores)

    def rows(self, y, scores):
        return class_rows(y, scores)

    def class_numbers(self, y):
        return class_numbers(y)

    def right(self, y, scores):
        found = ops.cast(ops.argmax(scores, axis=-1), "int32")
        labels = ops.cast(class_numbers(y), "int32")
        return ops.cast(found == labels, "float32")

    def confidence(self, scores):
        """The largest softmax probability."""
        # In float64, so that it can come as near to 1 as it has to.
        scores = np.asarray(scores, "float64")
        shifted = scores - scores.max(axis=-1, keepdims=True)
        return 1 / np.exp(shifted).sum(axis=-1)
