import numpy as np
from keras import ops


def copy_values(originals, copies):
    """Gives the variables of a copy the values of those that it is a copy of.

    Of variables that are larger along one axis, as of more classes, the first
    entries get them, and the others keep their own.

    Args:
        originals, copies: lists of variables, of the same number.
    """
    if sorted(v.path for v in originals) == sorted(v.path for v in copies):
        # A layer that is made quantized makes its variables in another order.
        originals, copies = (
            sorted(variables, key=lambda v: v.path)
            for variables in (originals, copies)
        )
    for variable, original in zip(copies, originals, strict=True):
        value = ops.convert_to_numpy(original)
        if value.shape != tuple(variable.shape):
            value = _in_front(value, variable)
        variable.assign(value)


def _in_front(value, variable):
    """The numbers of a variable, the first of them replaced by `value`."""
    numbers = np.array(ops.convert_to_numpy(variable))
    shapes = list(zip(value.shape, numbers.shape, strict=True))
    longer = [small < large for small, large in shapes]
    if sum(longer) != 1 or any(small > large for small, large in shapes):
        raise ValueError(
            f"'{variable.path}' cannot take the values of its original. "
            f"Received: shape {value.shape}, expected {numbers.shape} or less "
            "along one axis."
        )
    numbers[tuple(slice(size) for size in value.shape)] = value
    return numbers
