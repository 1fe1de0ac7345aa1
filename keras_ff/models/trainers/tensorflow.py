import keras
import tensorflow as tf

from keras_ff.models.trainers.local_step import LocalStep


class LocalTrainer(LocalStep):
    """The local step on TensorFlow: a layer waits for the last's gradients."""

    def train_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        if not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)
        others = self.non_trainable_variables
        before = [tf.identity(v.value) for v in others]
        batch = self._local_pass(x, y, sample_weight, True, self._differentiate)
        logs = self._log_batch(batch)

        def apply():
            gradients = self._in_order(batch.gradients)
            self.optimizer.apply(gradients, self.trainable_variables)
            return True

        def undo():
            for variable, value in zip(others, before):
                variable.assign(value)
            return False

        if tf.distribute.get_strategy().num_replicas_in_sync > 1:
            # Replicas cannot meet inside a branch.
            apply()
        else:
            tf.cond(self._statistics.is_sound(), apply, undo)
        return logs

    def test_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        return self._log_batch(self._local_pass(x, y, sample_weight, False))

    def _differentiate(self, layer, objective, scale, after):
        variables = [v.value for v in layer.trainable_variables]
        # Without the wait the graph runs all forward passes first, or draws
        # all dropout masks, and keeps every activation.
        with tf.control_dependencies(after), tf.GradientTape() as tape:
            loss, outputs = objective()
            scaled_loss = loss * scale
        gradients = tape.gradient(
            scaled_loss,
            variables,
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        return outputs, [tf.convert_to_tensor(g) for g in gradients]

    def _unscale(self, loss):
        # Keras divides losses by the replicas, over which it sums gradients.
        return loss * tf.distribute.get_strategy().num_replicas_in_sync


def process_index():
    """Which one of the processes this is that train a model together."""
    # The replicas that Keras knows on TensorFlow are of one process.
    return 0
