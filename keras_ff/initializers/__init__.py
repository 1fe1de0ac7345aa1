"""Initial values of prototypes."""

from keras_ff.initializers.maximally_separated import (
    MaximallySeparated as MaximallySeparated,
)
