import math
import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops
from keras import tree

from keras_ff.checks import check_bool
from keras_ff.checks import check_integer
from keras_ff.datasets.digest import digest
from keras_ff.datasets.extras import import_tensorflow
from keras_ff.datasets.share_of import share_of
from keras_ff.type_aliases import Tensor


class ArrayBatches(keras.utils.PyDataset):
    """Batches of arrays, in an order that depends on seed and epoch only.

    Keras does not save the state of its own shuffling, so that a resumed
    training would see other batches than an uninterrupted one.

    On JAX and PyTorch, tensors are cut into batches where they are: put a data
    set that fits on the accelerator there once, with
    `keras.ops.convert_to_tensor`, and no image crosses the bus again.
    TensorFlow cuts batches on the host.

    The models of `keras_ff` take the batches in this order. Any other Keras
    model needs `fit(..., shuffle=False)`: it would shuffle the batches once
    more, and warns of it here.

    Args:
        arrays: tuple `(x, y)` or `(x, y, sample_weight)` of (nested) NumPy
            arrays or backend tensors, with the samples along axis 0.
        batch_size: int.
        seed: int, of the order; every epoch has its own. Or a function without
            arguments that gives it, asked in every epoch. `None` keeps the
            samples as they are. Defaults to `None`.
        drop_remainder: bool, whether to leave out a last batch that is not
            full, which spares compiling a step for it. Defaults to `False`.
        steps_per_epoch: int, the number of batches of an epoch. The next
            epoch goes on where the last one ended; every sample comes once
            before any comes again. `None` means one pass over the samples.

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

    def __init__(
        self,
        arrays: tuple[Tensor, ...],
        batch_size: int,
        seed: int | Callable[[], int] | None = None,
        drop_remainder: bool = False,
        steps_per_epoch: int | None = None,
    ) -> None:
        super().__init__()
        check_integer("batch_size", batch_size, minimum=1)
        if seed is not None and not callable(seed):
            check_integer("seed", seed, minimum=0)
        if steps_per_epoch is not None:
            check_integer("steps_per_epoch", steps_per_epoch, minimum=1)
        check_bool("drop_remainder", drop_remainder)
        self._arrays = arrays
        self._size = _size(arrays)
        self._batch_size = batch_size
        self._seed = seed
        round_ = math.floor if drop_remainder else math.ceil
        self._steps_per_pass = round_(self._size / batch_size)
        if not self._steps_per_pass:
            raise ValueError(
                f"{self._size} samples give no batch of batch_size="
                f"{batch_size}."
                + (" Lower `batch_size`." if self._size else "")
            )
        self._steps = steps_per_epoch or self._steps_per_pass
        # The batch that an epoch of Keras asked for last.
        self._within_epoch, self._last = False, None
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Says which epoch, from 0, the next pass is."""
        check_integer("epoch", epoch, minimum=0)
        self._seed_now: Any = (
            self._seed() if callable(self._seed) else self._seed
        )
        self._epoch = epoch
        self._orders = {}

    def on_epoch_begin(self) -> None:
        self._within_epoch, self._last = True, None

    def on_epoch_end(self) -> None:
        # A model that does not set the epoch goes on to the next one. The
        # seed may be a variable's, which has no value while JAX trains.
        self._within_epoch = False
        self._epoch += 1
        self._orders = {}

    def __len__(self):
        return self._steps

    def __getitem__(self, index):
        if not 0 <= index < len(self):
            raise IndexError(f"There are {len(self)} batches, no {index}.")
        self._warn_if_shuffled(index)
        return self._of(self._rows(index))

    def share(self, index: int, part: int, parts: int) -> Any:
        """One of several shares of a batch, see `BatchShare`."""
        rows = self._rows(index)
        return self._of(rows[share_of(len(rows), part, parts)])

    def check_shares(self, parts: int) -> None:
        """Raises if shares of a full batch would be empty."""
        size = min(self._size, self._batch_size)
        if size < parts:
            raise ValueError(
                f"A batch of {size} samples cannot be shared among {parts} "
                f"processes. Received: {self._size} samples, batch_size="
                f"{self._batch_size}, which is that of all processes "
                "together. Give larger batches, or start fewer processes."
            )

    def digest(self) -> list[tuple[Any, ...]]:
        """Tells these arrays from others; of large ones some rows only."""
        return digest(self._arrays)

    def _of(self, rows):
        return tree.map_structure(
            lambda array: self._take(array, rows), self._arrays
        )

    def _take(self, array, rows):
        if ops.is_tensor(array):
            return ops.take(array, rows, axis=0)
        return array[rows]

    def as_tf_dataset(self) -> Any:
        """The same batches as a `tf.data.Dataset`, which cuts them ahead.

        A pass over it is the epoch that `set_epoch` has named.
        """
        tf = import_tensorflow()
        with tf.device("CPU"):
            # Tensors leave an accelerator once, not batch by batch.
            arrays = tree.map_structure(
                lambda x: tf.identity(tf.convert_to_tensor(x)), self._arrays
            )
        full = self._size % self._batch_size == 0

        def one_epoch(_):
            rows, ends = tf.numpy_function(
                self._epoch_rows, [], ["int64", "int64"], stateful=True
            )
            rows.set_shape([None])
            ends.set_shape([None])

            def batch(step):
                chosen = rows[ends[step] : ends[step + 1]]
                chosen.set_shape([self._batch_size if full else None])
                return tree.map_structure(
                    lambda x: tf.gather(x, chosen), arrays
                )

            steps = tf.data.Dataset.range(len(self))
            return steps.map(batch, tf.data.AUTOTUNE)

        known_length = tf.data.experimental.assert_cardinality(len(self))
        dataset = tf.data.Dataset.range(1).flat_map(one_epoch)
        return dataset.apply(known_length).prefetch(tf.data.AUTOTUNE)

    def _warn_if_shuffled(self, index):
        if not self._within_epoch:
            return
        # Batch 0 may begin anew what was stopped within an epoch.
        if self._last is not None and index not in (0, self._last + 1):
            warnings.warn(
                "The batches of an ArrayBatches are shuffled once more, so "
                "that their order does not depend on seed and epoch alone. "
                "Call fit(..., shuffle=False).",
                stacklevel=3,
            )
        self._last = index

    def _rows(self, index):
        """The numbers of the samples of a batch of this epoch."""
        number = self._epoch * self._steps + index
        repetition, index = divmod(number, self._steps_per_pass)
        if repetition not in self._orders:
            self._orders[repetition] = self._order(repetition)
        start = index * self._batch_size
        return self._orders[repetition][start : start + self._batch_size]

    def _order(self, repetition):
        if self._seed_now is None:
            return np.arange(self._size)
        generator = np.random.default_rng([self._seed_now, repetition])
        return generator.permutation(self._size)

    def _epoch_rows(self):
        """All rows of this epoch, and where the batches end."""
        rows = [self._rows(index) for index in range(len(self))]
        ends = np.cumsum([0, *map(len, rows)])
        return np.concatenate(rows), ends


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
