import numpy as np

from keras_ff.visualization.shares import as_shares


def channel_order(shares):
    """The order of channels by dominant class, strongest first in each."""
    shares = as_shares(shares)
    return np.lexsort((-shares.max(axis=1), shares.argmax(axis=1)))
