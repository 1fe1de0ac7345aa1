import math

import keras
import numpy as np
from keras import ops
from keras import tree

from keras_ff.checks import check_integer


class ArrayBatches(keras.utils.PyDataset):
    """Batches of arrays, in an order that depends on seed and epoch only.

    Keras does not save the state of its own shuffling, so that a resumed
    training would see other batches than an uninterrupted one.

    Tensors of the backend are cut into batches where they are: put a data set
    that fits on the accelerator there once, with
    `keras.ops.convert_to_tensor`, and no image crosses the bus again.

    Args:
        arrays: tuple `(x, y)` or `(x, y, sample_weight)` of (nested) NumPy
            arrays or backend tensors, with the samples along axis 0.
        batch_size: int.
        seed: int, of the order; every epoch has its own. Or a function without
            arguments that gives it, asked in every epoch. `None` keeps the
            samples as they are. Defaults to `None`.
        drop_remainder: bool, whether to leave out a last batch that is not
            full, which spares compiling a step for it. Defaults to `False`.

    Raises:
        TypeError: if `arrays` is not a tuple of arrays, or `batch_size` or
            `seed` not an integer.
        ValueError: if the arrays differ in length or give no batch, or
            `batch_size` or `seed` is too small.

    Example:

    ```python
    train, validation, test = keras_ff.datasets.load_arrays("cifar10")
    train = keras.tree.map_structure(keras.ops.convert_to_tensor, train)
    model.fit(keras_ff.datasets.ArrayBatches(train, 128, seed=0))
    ```
    """

    def __init__(self, arrays, batch_size, seed=None, drop_remainder=False):
        super().__init__()
        check_integer("batch_size", batch_size, minimum=1)
        if seed is not None and not callable(seed):
            check_integer("seed", seed, minimum=0)
        self._arrays = arrays
        self._size = _size(arrays)
        self._batch_size = batch_size
        self._seed = seed
        self._round = math.floor if drop_remainder else math.ceil
        if not len(self):
            raise ValueError(
                f"{self._size} samples give no batch of batch_size="
                f"{batch_size}. Lower `batch_size`."
            )
        self.set_epoch(0)

    def set_epoch(self, epoch):
        """Says which epoch, from 0, the next pass is."""
        self._seed_now = self._seed() if callable(self._seed) else self._seed
        self._reorder(epoch)

    def on_epoch_end(self):
        # A model that does not set the epoch goes on to the next one. The
        # seed may be a variable's, which has no value while JAX trains.
        self._reorder(self._epoch + 1)

    def _reorder(self, epoch):
        self._epoch = epoch
        self._order = np.arange(self._size)
        if self._seed_now is not None:
            generator = np.random.default_rng([self._seed_now, epoch])
            self._order = generator.permutation(self._size)

    def __len__(self):
        return self._round(self._size / self._batch_size)

    def __getitem__(self, index):
        if not 0 <= index < len(self):
            raise IndexError(f"There are {len(self)} batches, no {index}.")
        start = index * self._batch_size
        rows = self._order[start : start + self._batch_size]

        def take(array):
            if ops.is_tensor(array):
                return ops.take(array, rows, axis=0)
            return array[rows]

        return tree.map_structure(take, self._arrays)


def _size(arrays):
    """The number of samples, which all arrays share."""
    leaves = tree.flatten(arrays)
    if not isinstance(arrays, tuple) or not all(
        len(getattr(leaf, "shape", ())) for leaf in leaves
    ):
        raise TypeError(
            "`arrays` must be a tuple `(x, y)` or `(x, y, sample_weight)` of "
            f"NumPy arrays or tensors. Received: {type(arrays).__name__} of "
            f"{sorted({type(leaf).__name__ for leaf in leaves})}"
        )
    sizes = [leaf.shape[0] for leaf in leaves]
    if len(set(sizes)) != 1:
        raise ValueError(
            f"`arrays` must hold the same number of samples. Received: {sizes}"
        )
    return sizes[0]
