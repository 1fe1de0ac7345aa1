"""Searches with KerasTuner that lose no trial, whatever dies."""

from keras_ff.tuners.reliable.keras_tuner_private import (
    fatal_if_unwritten as fatal_if_unwritten,
)
from keras_ff.tuners.reliable.keras_tuner_private import (
    trial_of_callbacks as trial_of_callbacks,
)
from keras_ff.tuners.reliable.reliable_search import (
    ReliableSearch as ReliableSearch,
)
