import tensorflow as tf

from keras_ff import keras_private
from keras_ff.models.trainers.local_step import LocalStep
from keras_ff.models.trainers.tensorflow_loops import TensorFlowLoops
from keras_ff.models.trainers.tensorflow_replicas import TensorFlowReplicas
from keras_ff.models.trainers.tensorflow_replicas import agreed
from keras_ff.models.trainers.tensorflow_replicas import run_if


class LocalTrainer(
    TensorFlowReplicas,
    TensorFlowLoops,
    keras_private.TensorFlowBuild,
    LocalStep,
):
    """The local step on TensorFlow: a layer waits for the last's gradients."""

    def train_step(self, data):
        if not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)
        others = self.non_trainable_variables
        before = [tf.identity(v.value) for v in others]
        learned = self._learn(data)
        sound, kept = agreed([learned.sound, learned.kept])
        run_if(sound, self._apply, learned.gradients)
        run_if(tf.logical_not(kept), _assign, others, before)
        return learned.logs

    def test_step(self, data):
        return self._pass(data)

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


def process_index():
    """Which one of the processes this is that train a model together."""
    # The replicas that Keras knows on TensorFlow are of one process.
    return 0


def _assign(variables, values):
    for variable, value in zip(variables, values):
        variable.assign(value)
