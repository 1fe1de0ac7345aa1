import jax
import keras
import numpy as np
from keras import tree

from keras_ff import keras_private
from keras_ff.datasets.digest import digest
from keras_ff.models.batches import undistributed


@keras_private.opaque
class PlacedBatch(tuple):
    """A batch that lies on the devices which are to compute with it.

    Keras does not look into it, so it does not place it once more.
    """


jax.tree_util.register_pytree_node(
    PlacedBatch, lambda batch: (tuple(batch), None), lambda _, x: PlacedBatch(x)
)


class PlacedBatches(keras_private.DataAdapter):
    """Batches of which every device gets its share of the samples.

    All processes hold the same batches. A batch that does not divide among
    the devices is computed by each of them, as on one.

    Args:
        data: `(x, y, sample_weight)`.
        batch_size: int, of all devices together.
        steps, shuffle, class_weight: as in `keras.Model.fit`.
    """

    def __init__(
        self,
        data,
        batch_size=None,
        steps=None,
        shuffle=False,
        class_weight=None,
    ):
        # Keras would cut data for the processes as a stream, so that some
        # got a batch more than others, for which it then waited.
        with undistributed():
            x, y, sample_weight = data
            self.adapter = keras_private.data_adapter(
                x, y, sample_weight, batch_size, steps, shuffle, class_weight
            )
        self._data = data

    def described(self):
        """What all processes must have in common."""
        x, *_ = self._data
        number = f"{self.num_batches} batches"
        if isinstance(x, keras.utils.PyDataset):
            return number, digest(x[0])
        if all(hasattr(leaf, "dtype") for leaf in tree.flatten(x)):
            return number, digest(self._data)
        return number

    def get_jax_iterator(self):
        for batch in self.adapter.get_jax_iterator():
            batch = batch if isinstance(batch, (tuple, list)) else (batch,)
            yield PlacedBatch(placed(tuple(batch)))

    @property
    def num_batches(self):
        return self.adapter.num_batches

    def on_epoch_begin(self):
        self.adapter.on_epoch_begin()

    def on_epoch_end(self):
        self.adapter.on_epoch_end()


class OwnBatches(PlacedBatches):
    """Batches of the samples that only this process has.

    That is what `auto_shard_dataset=False` of a distribution says. A batch is
    as large in every process; where one has no more, all end.

    Args:
        group: the `JaxGroup`.
        data, ...: see `PlacedBatches`.
    """

    def __init__(self, group, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._group = group

    def described(self):
        return f"{self.num_batches} batches"

    def get_jax_iterator(self):
        batches = iter(self.adapter.get_jax_iterator())
        while True:
            batch = next(batches, None)
            sizes = self._group.gather_numbers(_size(batch)).ravel()
            if not sizes.all():
                return
            if len(set(sizes)) > 1:
                raise ValueError(
                    "A batch must hold as many samples in every process. "
                    f"Received: {sizes.tolist()} in processes 0 to "
                    f"{len(sizes) - 1}. Leave out what fills no batch "
                    "(drop_remainder=True), or give all processes all data "
                    "and set `auto_shard_dataset=True`."
                )
            batch = batch if isinstance(batch, (tuple, list)) else (batch,)
            yield PlacedBatch(self._joined(tuple(batch)))

    def _joined(self, batch):
        def join(array):
            array = np.asarray(array)
            rows = array.shape[0] * self._group.size
            sharding = _sharding((rows, *array.shape[1:]))
            if sharding.is_fully_replicated:
                rows = self._group.gather_numbers(array)
                return placed(rows.reshape(-1, *array.shape[1:]))
            return jax.make_array_from_process_local_data(sharding, array)

        return _each(join, batch)


def placed(batch):
    """A batch that every process has, on the devices of the distribution."""

    def place(array):
        sharding = _sharding(array.shape)
        if jax.process_count() == 1:
            return jax.device_put(array, sharding)
        array = np.asarray(array)
        return jax.make_array_from_callback(
            array.shape, sharding, lambda part: array[part]
        )

    return _each(place, batch)


def everywhere(tensors):
    """Tensors of which every device, and so every process, has all."""
    distribution = keras.distribution.distribution()
    if distribution is None:
        return tensors
    mesh = distribution.device_mesh.backend_mesh
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    return jax.lax.with_sharding_constraint(tensors, sharding)


def _sharding(shape):
    """Where an array of samples lies."""
    distribution = keras.distribution.distribution()
    sharding = distribution.get_data_layout(shape).backend_layout
    (name,) = sharding.spec[:1]
    if shape[0] % sharding.mesh.shape[name]:
        spec = jax.sharding.PartitionSpec()
        sharding = jax.sharding.NamedSharding(sharding.mesh, spec)
    return sharding


def _each(function, batch):
    return tree.map_structure(
        lambda x: None if x is None else function(x), batch, none_is_leaf=True
    )


def _size(batch):
    if batch is None:
        return 0
    leaves = [leaf for leaf in tree.flatten(batch) if leaf is not None]
    return leaves[0].shape[0]
