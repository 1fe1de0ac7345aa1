"""How models become programs for devices, and come back."""

from keras_ff.device.exporting.export_training import (
    export_training as export_training,
)
from keras_ff.device.exporting.import_training import (
    import_training as import_training,
)
