import warnings

import keras

from keras_ff import keras_private
from keras_ff.datasets.array_batches import ArrayBatches
from keras_ff.datasets.batch_share import BatchShare
from keras_ff.datasets.share_of import share_of


def shared(
    group,
    data,
    batch_size=None,
    steps=None,
    shuffle=False,
    class_weight=None,
    seed=None,
):
    """The share of this process of what `fit` or `evaluate` is given.

    What Keras cuts into batches, or has in batches (arrays, `PyDataset`,
    `tf.data.Dataset`), all processes have, and each takes its share of every
    batch. A `DataLoader` of PyTorch, a generator and a pipeline that is not to
    be sharded automatically are the process's own part.

    Args:
        group: the `TorchGroup`.
        data: `(x, y, sample_weight)`.
        batch_size: int, of all processes together.
        steps, shuffle, class_weight: as in `keras.Model.fit`.
        seed: function that gives the seed of an epoch.

    Returns:
        A `DataAdapter` of Keras.
    """
    x, y, sample_weight = data
    if y is not None:
        arrays = (x, y) if sample_weight is None else (x, y, sample_weight)
        x = ArrayBatches(arrays, batch_size or 32)
        y = sample_weight = None
    if isinstance(x, ArrayBatches):
        shuffle = False
    if isinstance(x, keras.utils.PyDataset):
        x = BatchShare(x, group.index, group.size, seed if shuffle else None)
        shuffle = False
    elif keras_private.is_tf_dataset(x):
        x = _share_of_pipeline(x, group)
    adapter = keras_private.data_adapter(
        x, y, sample_weight, batch_size, steps, shuffle, class_weight
    )
    if adapter.num_batches is None:
        return UntilOneEnds(adapter, group)
    return adapter


def described(adapter):
    """What data must have in common with those of other processes."""
    data = getattr(adapter, "py_dataset", None)
    digest = data.digest() if isinstance(data, BatchShare) else None
    return adapter and (f"{adapter.num_batches} batches", digest)


def _share_of_pipeline(dataset, group):
    import tensorflow as tf

    policy = dataset.options().experimental_distribute.auto_shard_policy
    if policy == tf.data.experimental.AutoShardPolicy.OFF:
        return dataset

    def cut(*batch):
        size = tf.shape(keras.tree.flatten(batch)[0])[0]
        rows = share_of(size, group.index, group.size)
        batch = tf.nest.map_structure(lambda x: x[rows], batch)
        return batch if len(batch) > 1 else batch[0]

    return dataset.map(cut, tf.data.AUTOTUNE)


class UntilOneEnds(keras_private.DataAdapter):
    """Batches of a length that nobody knows, until one process has no more.

    All processes end the epoch then. Whether all have a next batch is found
    out while the one before is trained on.

    Args:
        adapter: the `DataAdapter` of Keras.
        group: the `TorchGroup`.
    """

    num_batches = None

    def __init__(self, adapter, group):
        self._adapter = adapter
        self._group = group

    def on_epoch_begin(self):
        self._adapter.on_epoch_begin()

    def on_epoch_end(self):
        self._adapter.on_epoch_end()

    def get_torch_dataloader(self):
        batches = iter(self._adapter.get_torch_dataloader())
        batch = next(batches, None)
        if batch is None:
            raise ValueError(
                "Data must give a batch to each of the processes that train "
                "together. Received: none for this one."
            )
        missing = None
        while True:
            ready, batch = batch, next(batches, None)
            if missing is not None:
                missing = self._missing(batch)
            yield ready
            # The first batch may be looked at only, to build the model.
            missing = missing or self._missing(batch)
            if missing():
                break
        if batch is not None:
            warnings.warn(
                "Another process ran out of batches: this one leaves out the "
                "rest of this epoch. Give all of them as many."
            )

    def _missing(self, batch):
        lacks = keras.ops.convert_to_tensor([float(batch is None)])
        total = self._group.sum([lacks])
        return lambda: bool(total()[0])
