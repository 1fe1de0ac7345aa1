"""Penalties on a channel-class assignment."""

from keras_ff.regularizers.assignment_entropy import (
    AssignmentEntropy as AssignmentEntropy,
)
from keras_ff.regularizers.assignment_orthogonality import (
    AssignmentOrthogonality as AssignmentOrthogonality,
)
from keras_ff.regularizers.assignment_regularizer import (
    AssignmentRegularizer as AssignmentRegularizer,
)
