import math

import numpy as np

from keras_ff import files


def save_weights(model, path):
    """Saves a compiled model's weights in a new file, or leaves none.

    Raises:
        OSError: if it cannot be written, a full disk included.
    """
    with files.removed_if_unwritten(path, path):
        files.reserve(path, _size(model))
        model.save_weights(path)
        files.settle(path)


def _size(model):
    """At least as many bytes as the file will have."""
    variables = [*model.variables, *model.optimizer.variables]
    return 2**16 + sum(
        # With the groups of HDF5.
        math.prod(variable.shape) * np.dtype(variable.dtype).itemsize + 2**12
        for variable in variables
    )
