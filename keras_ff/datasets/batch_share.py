import keras
import numpy as np
from keras import tree

from keras_ff.datasets.array_batches import ArrayBatches
from keras_ff.datasets.share_of import share_of


class BatchShare(keras.utils.PyDataset):
    """One process's share of every batch of a `PyDataset`.

    All processes hold the same batches and take other samples of each: the
    shares of a batch are as equal as can be, and the first are the larger.

    Args:
        batches: a `PyDataset`. Those of `keras_ff.datasets` cut out no more
            than the share.
        index, count: ints, which share, and of how many.
        seed: function without arguments, asked in every epoch, that gives
            what the order of the batches depends on. `None` keeps it.
    """

    def __init__(self, batches, index, count, seed=None):
        super().__init__(
            workers=batches.workers,
            use_multiprocessing=batches.use_multiprocessing,
            max_queue_size=batches.max_queue_size,
        )
        if isinstance(batches, ArrayBatches):
            batches.check_shares(count)
        self._batches = batches
        self._index, self._count = index, count
        self._seed = seed
        self._order = None

    @property
    def num_batches(self):
        return self._batches.num_batches

    def digest(self):
        """What has to be the same in all processes, if that is known."""
        if isinstance(self._batches, ArrayBatches):
            return self._batches.digest()

    def on_epoch_begin(self):
        if self._seed is not None and self.num_batches is not None:
            generator = np.random.default_rng(self._seed())
            self._order = generator.permutation(self.num_batches)
        self._batches.on_epoch_begin()

    def on_epoch_end(self):
        self._batches.on_epoch_end()

    def __getitem__(self, index):
        if self._order is not None:
            index = int(self._order[index])
        if isinstance(self._batches, ArrayBatches):
            return self._batches.share(index, self._index, self._count)
        batch = self._batches[index]
        leaves = [leaf for leaf in tree.flatten(batch) if leaf is not None]
        rows = share_of(leaves[0].shape[0], self._index, self._count)
        return tree.map_structure(
            lambda x: None if x is None else x[rows], batch, none_is_leaf=True
        )
