"""Image data sets: `tf.data` pipelines, or arrays for the accelerator."""

from keras_ff.datasets._load_arrays import load_arrays
from keras_ff.datasets._preprocessing import preprocessing
from keras_ff.datasets.array_batches import ArrayBatches
from keras_ff.datasets.augmented_batches import AugmentedBatches
from keras_ff.datasets.catalog import info
from keras_ff.datasets.loader import load
from keras_ff.datasets.splits import Splits

__all__ = [
    "ArrayBatches",
    "AugmentedBatches",
    "Splits",
    "info",
    "load",
    "load_arrays",
    "preprocessing",
]
