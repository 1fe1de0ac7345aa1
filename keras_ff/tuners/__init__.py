"""Tuning with KerasTuner: a search space, and searches that survive."""

import keras


def _require(name):
    try:
        __import__(name)
    except ImportError as error:
        raise ImportError(
            f"`keras_ff.tuners` needs `{name}`, which could not be imported. "
            'Install it with: pip install "keras_ff[tune]"'
        ) from error


_require("keras_tuner")
if keras.backend.backend() == "tensorflow":
    # KerasTuner imports it in every trial.
    _require("tensorboard")

from keras_ff.tuners.forward_only_hyper_model import (
    ForwardOnlyHyperModel as ForwardOnlyHyperModel,
)
from keras_ff.tuners.reliable import ReliableSearch as ReliableSearch

del keras  # Not a name of this package.
