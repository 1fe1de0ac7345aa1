import math

import keras
import numpy as np


class EpochArrays(keras.utils.PyDataset):
    """Arrays in batches, in an order that depends on seed and epoch only.

    Keras does not save the state of its own shuffling, so that a resumed
    training would see other batches than an uninterrupted one.

    Args:
        arrays: tuple `(x, y)` or `(x, y, sample_weight)` of (nested) NumPy
            arrays.
        batch_size: int.
        seed: function without arguments that gives an int. It is asked in
            every epoch: a resumed model knows its seed only when training
            has begun.
    """

    def __init__(self, arrays, batch_size, seed):
        super().__init__()
        self._arrays = arrays
        self._size = len(keras.tree.flatten(arrays)[0])
        self._batch_size = batch_size
        self._seed = seed
        self.set_epoch(0)

    def set_epoch(self, epoch):
        generator = np.random.default_rng([self._seed(), epoch])
        self._order = generator.permutation(self._size)

    def __len__(self):
        return math.ceil(self._size / self._batch_size)

    def __getitem__(self, index):
        start = index * self._batch_size
        rows = self._order[start : start + self._batch_size]
        return keras.tree.map_structure(lambda a: a[rows], self._arrays)
