import threading

import keras
import tensorflow as tf

from keras_ff import keras_private
from keras_ff.models.trainers.portion import Portion

# A strategy runs the step of every replica in a thread, in turns.
_replica = threading.local()


class TensorFlowReplicas(keras_private.ModelMixin):
    """Lets the replicas of a `tf.distribute` strategy share every batch.

    What Keras does with it: it cuts batches up, a small one so that some
    replicas have no sample, divides means by the number of replicas, and
    adds gradients up in the optimizer.
    """

    @property
    def _portion(self):
        return getattr(_replica, "portion", None)

    @_portion.setter
    def _portion(self, portion):
        _replica.portion = portion

    def compile(self, *args, **kwargs):
        _check_supported(self.distribute_strategy)
        super().compile(*args, **kwargs)

    def _unpack(self, data):
        if _replicas() > 1:
            data, self._portion = _share_of_batch(data)
        return super()._unpack(data)

    def _share(self, value, loss=None):
        reduction = "mean" if loss is None else loss.reduction
        if self._portion is not None and reduction not in (None, "none", "sum"):
            value = value * _replicas()
        return super()._share(value, loss)

    def _log_batch(self, batch):
        if self._portion is None:
            return super()._log_batch(batch)
        rows = tf.cast(self._portion.samples, "int32")
        try:
            return super()._log_batch(_first_rows(batch, rows))
        finally:
            self._portion = None

    def _reduce(self, gradients):
        # All other gradients the optimizer adds up, at once.
        if _replicas() == 1 or not self._needs_sums:
            return super()._reduce(gradients)
        total = _sums(gradients)
        return lambda: total

    @property
    def _needs_sums(self):
        """Whether gradients are looked at before the optimizer adds them up.

        Keras's loss scaling looks at those of the first replica.
        """
        return self._readout.layer_clipnorm is not None or isinstance(
            self.optimizer, keras.optimizers.LossScaleOptimizer
        )

    def _apply(self, gradients):
        if self._needs_sums:
            # They are sums already, and will be added up once more.
            gradients = [gradient / _replicas() for gradient in gradients]
        self.optimizer.apply(gradients, self.trainable_variables)

    def _values_of_replicas(self, variable):
        local_results = self.distribute_strategy.experimental_local_results
        return [value.numpy() for value in local_results(variable.value)]


def agreed(conditions):
    """Scalars that hold if they hold in every replica."""
    if _replicas() == 1:
        return conditions
    failed = _sums([tf.cast(tf.logical_not(c), "float32") for c in conditions])
    return [count == 0 for count in failed]


def run_if(condition, function, *args):
    """Calls a function if a condition, the same in all replicas, holds."""

    def across(distribution, condition, *args):
        (condition, *_) = distribution.experimental_local_results(condition)

        def run():
            distribution.extended.call_for_each_replica(function, args)
            return True

        tf.cond(condition, run, lambda: False)

    # Replicas cannot meet, to add their gradients, inside a branch.
    tf.distribute.get_replica_context().merge_call(across, (condition, *args))


def scope_of(model):
    """A context in which a model's optimizer makes its variables."""
    return model.distribute_strategy.scope()


def replicas_of(model):
    """How many replicas of a model share a batch."""
    return model.distribute_strategy.num_replicas_in_sync


def _replicas():
    return tf.distribute.get_strategy().num_replicas_in_sync


def _sums(tensors):
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tensors)


def _share_of_batch(data):
    """A batch with at least one row, and the `Portion` of this replica.

    A replica without samples computes with a row of zeros that counts for
    nothing: all replicas have to meet.
    """
    x, _, weights = keras.utils.unpack_x_y_sample_weight(data)
    rows = tf.shape(next(a for a in keras.tree.flatten(x) if a is not None))[0]
    samples = tf.cast(rows, "float32")
    weight = samples
    if weights is not None:
        weight = tf.reduce_sum(tf.cast(weights, "float32"))
    totals = _sums([samples, weight])
    missing = tf.cast(rows == 0, "int32")

    def pad(array):
        if array is None or array.shape[0]:
            return array
        return tf.pad(array, [[0, missing]] + [[0, 0]] * (array.shape.rank - 1))

    data = keras.tree.map_structure(pad, data, none_is_leaf=True)
    return data, Portion(samples, weight, lambda: totals)


def _first_rows(batch, rows):
    def cut(array):
        return None if array is None else array[:rows]

    outputs = [o._replace(goodness=cut(o.goodness)) for o in batch.outputs]
    parts = ("x", "y", "target", "sample_weight", "prediction")
    found = {
        name: keras.tree.map_structure(
            cut, getattr(batch, name), none_is_leaf=True
        )
        for name in parts
    }
    return batch._replace(outputs=outputs, **found)


def _check_supported(strategy):
    if isinstance(strategy, tf.distribute.ParameterServerStrategy):
        raise ValueError(
            "Local layers train in step, and the workers of a parameter "
            "server do not. Received: a model made in the scope of a "
            "ParameterServerStrategy. Use tf.distribute.MirroredStrategy for "
            "several devices of one machine; several machines train one model "
            "on JAX or PyTorch."
        )
    if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy) and (
        strategy.extended._in_multi_worker_mode()
    ):
        raise ValueError(
            "Several workers cannot train with Keras on TensorFlow: its "
            "`fit` fails at their batches. Received: a model made in the "
            "scope of a MultiWorkerMirroredStrategy of several workers. Use "
            "JAX (keras.distribution) or PyTorch (torchrun)."
        )
