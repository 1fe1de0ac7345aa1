import tensorflow as tf

from keras_ff import keras_private
from keras_ff.models.trainers.local_step import LocalStep


class LocalTrainer(keras_private.TensorFlowBuild, LocalStep):
    """The local step on TensorFlow: a layer waits for the last's gradients."""

    def train_step(self, data):
        if not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)
        others = self.non_trainable_variables
        before = [tf.identity(v.value) for v in others]
        learned = self._learn(data)
        sound, kept = _agreed([learned.sound, learned.kept])
        _run_if(sound, self._apply, learned.gradients)
        _run_if(tf.logical_not(kept), _assign, others, before)
        return learned.logs

    def test_step(self, data):
        return self._test(data)

    def _apply(self, gradients):
        self.optimizer.apply(gradients, self.trainable_variables)

    def _differentiate(self, part, objective, scale, before):
        variables = [v.value for v in part.trainable_variables]
        # Without the wait the graph runs all forward passes first, or draws
        # all dropout masks, and keeps every activation.
        with tf.control_dependencies(before[-1:]), tf.GradientTape() as tape:
            loss, outputs = objective()
            scaled_loss = loss * scale
        gradients = tape.gradient(
            scaled_loss,
            variables,
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        return outputs, [tf.convert_to_tensor(g) for g in gradients]

    def _values_of_replicas(self, variable):
        local_results = self.distribute_strategy.experimental_local_results
        return [value.numpy() for value in local_results(variable.value)]

    def _unscale(self, loss):
        # Keras divides losses by the replicas, over which it sums gradients.
        return loss * tf.distribute.get_strategy().num_replicas_in_sync


def process_index():
    """Which one of the processes this is that train a model together."""
    # The replicas that Keras knows on TensorFlow are of one process.
    return 0


def _agreed(conditions):
    """Scalars that hold if they hold in every replica."""
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        return conditions
    failed = tf.distribute.get_replica_context().all_reduce(
        tf.distribute.ReduceOp.SUM,
        [tf.cast(tf.logical_not(c), "float32") for c in conditions],
    )
    return [count == 0 for count in failed]


def _run_if(condition, function, *args):
    """Calls a function if a condition, the same in all replicas, holds."""

    def across(distribution, condition, *args):
        (condition, *_) = distribution.experimental_local_results(condition)

        def run():
            distribution.extended.call_for_each_replica(function, args)
            return True

        tf.cond(condition, run, lambda: False)

    # Replicas cannot meet, to add their gradients, inside a branch.
    tf.distribute.get_replica_context().merge_call(across, (condition, *args))


def _assign(variables, values):
    for variable, value in zip(variables, values):
        variable.assign(value)
