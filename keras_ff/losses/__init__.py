"""Local objectives beyond Keras's own."""

from keras_ff.losses.local_crossentropy import (
    LocalCrossentropy as LocalCrossentropy,
)
