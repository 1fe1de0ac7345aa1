"""Image data sets, as `tf.data` pipelines for `fit` on every backend."""

from keras_ff.datasets.catalog import DatasetInfo
from keras_ff.datasets.catalog import info
from keras_ff.datasets.loader import Splits
from keras_ff.datasets.loader import load

__all__ = ["DatasetInfo", "Splits", "info", "load"]
