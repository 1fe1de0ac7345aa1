import numpy as np

from keras_ff.visualization.shares import as_shares


def channel_order(shares):
    """The order of channels by dominant class, strongest first in each.

    Args:
        shares: as in `keras_ff.visualization.assignment`.

    Returns:
        NumPy array of the channels' numbers.

    Raises:
        ValueError: if `shares` are no shares, or of a layer not built.
        TypeError: if it is a layer without an assignment.

    Example:

    >>> keras_ff.visualization.channel_order([[0.1, 0.9], [1.0, 0.0]])
    array([1, 0])
    """
    shares = as_shares(shares)
    return np.lexsort((-shares.max(axis=1), shares.argmax(axis=1)))
