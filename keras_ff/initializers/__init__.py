"""Initializers of prototypes and of assignments."""

from keras_ff.initializers.maximally_separated import (
    MaximallySeparated as MaximallySeparated,
)
from keras_ff.initializers.one_class_a_channel import (
    OneClassAChannel as OneClassAChannel,
)
