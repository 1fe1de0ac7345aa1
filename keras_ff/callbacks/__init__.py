"""Keras callbacks for forward-only models."""

from keras_ff.callbacks.backup import Backup as Backup
from keras_ff.callbacks.local_learning_monitor import (
    LocalLearningMonitor as LocalLearningMonitor,
)
