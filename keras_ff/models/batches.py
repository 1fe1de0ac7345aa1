import contextlib

import keras

from keras_ff import keras_private
from keras_ff.checks import check_integer


def batches(x, y=None, sample_weight=None, batch_size=None, steps=None):
    """Triples `(x, y, sample_weight)` of batches of what `predict` takes.

    Args:
        x, batch_size, steps: as in `keras.Model.predict`.
        y, sample_weight: as in `keras.Model.evaluate`.
    """
    if batch_size is not None:
        check_integer("batch_size", batch_size, minimum=1)
    data = (x, y, sample_weight)
    with undistributed():
        found = keras_private.epoch_batches(*data, batch_size, steps)
    for batch in found:
        yield keras.utils.unpack_x_y_sample_weight(batch)


@contextlib.contextmanager
def undistributed():
    """Lets Keras prepare data as if there was one device and process."""
    distribution = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(distribution)
