import keras

from keras_ff import keras_private

# What `predict` reads its data with is private to Keras; only this file uses
from keras_ff.checks import check_integer


def batches(x, y=None, batch_size=None, steps=None):
    """Pairs `(x, y)` of NumPy batches of whatever `predict` takes.

    Args:
        x, batch_size, steps: as in `keras.Model.predict`.
        y: as in `keras.Model.evaluate`.
    """
    if batch_size is not None:
        check_integer("batch_size", batch_size, minimum=1)
    for batch in keras_private.epoch_batches(x, y, batch_size, steps):
        yield keras.utils.unpack_x_y_sample_weight(batch)[:2]
