"""What a model learns: classes, yes or no in every column, or values."""

from keras_ff.models.tasks.classification import Classification
from keras_ff.models.tasks.multi_label import MultiLabel
from keras_ff.models.tasks.regression import Regression

_BY_NAME = {
    task.name: task for task in (Classification, MultiLabel, Regression)
}


def names():
    """The names that `get` knows."""
    return list(_BY_NAME)


def get(name):
    """The class of a task, by its name."""
    return _BY_NAME[name]
