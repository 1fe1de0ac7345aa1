import keras

# What `predict` reads its data with is private to Keras; only this file uses
# it.
from keras.src.trainers.epoch_iterator import EpochIterator

from keras_ff.datasets.checks import check_integer


def batches(x, y=None, batch_size=None, steps=None):
    """Pairs `(x, y)` of NumPy batches of whatever `predict` takes.

    Args:
        x, batch_size, steps: as in `keras.Model.predict`.
        y: as in `keras.Model.evaluate`.
    """
    if batch_size is not None:
        check_integer("batch_size", batch_size, minimum=1)
    iterator = EpochIterator(x, y, batch_size=batch_size, steps_per_epoch=steps)
    for _, _, buffer in iterator:
        for batch in buffer:
            yield keras.utils.unpack_x_y_sample_weight(batch)[:2]
