import jax
import keras

from keras_ff import keras_private
from keras_ff.models.trainers.jax_loops import JaxLoops
from keras_ff.models.trainers.jax_stages import JaxStages
from keras_ff.models.trainers.local_step import LocalStep


class LocalTrainer(JaxStages, LocalStep, JaxLoops):
    """The local step on JAX: one `value_and_grad` a layer in one function."""

    def train_step(self, state, data):
        variables = (
            self.trainable_variables,
            self.non_trainable_variables,
            self.optimizer.variables,
            self.metrics_variables,
        )
        with _scope(variables, state) as scope:
            learned = self._learn(data)
        trainable, others, optimizer, metrics = _values(scope, variables)
        applied = self.optimizer.stateless_apply(
            optimizer, learned.gradients, trainable
        )
        trainable, optimizer = _select(
            learned.sound, applied, (trainable, optimizer)
        )
        others = _select(learned.kept, others, state[1])
        return learned.logs, (trainable, others, optimizer, metrics)

    def test_step(self, state, data):
        variables = (
            self.trainable_variables,
            self.non_trainable_variables,
            self.metrics_variables,
        )
        with _scope(variables, state) as scope:
            logs = self._pass(data)
        return logs, _values(scope, variables)

    def _differentiate(self, part, objective, scale, before):
        trainable = part.trainable_variables
        others = part.non_trainable_variables
        # Among several devices gradients are added up while the next part
        # runs forward, so that two parts' activations are in memory, not one.
        forward, backward = before[-1:], []
        if keras.distribution.distribution() is not None:
            forward, backward = before[-2:-1], before[-1:]
        values, other_values = _wait(
            ([v.value for v in trainable], [v.value for v in others]), forward
        )
        scale = _wait(scale, backward)

        step_values, changed = keras_private.scope_values(), []

        def local_loss(values):
            with _scope((trainable, others), (values, other_values)):
                inner = keras_private.scope_values()
                # Those of the model beside the layer's, like metrics.
                inner.update({**step_values, **inner})
                before = dict(inner)
                loss, outputs = objective()
            changed[:] = [
                key for key, x in inner.items() if x is not before.get(key)
            ]
            return loss * scale, (outputs, [inner[key] for key in changed])

        gradient = jax.grad(local_loss, has_aux=True)
        gradients, (outputs, new_values) = gradient(values)
        step_values.update(zip(changed, new_values))
        return outputs, gradients


def _wait(values, numbers):
    """Values that cannot be had before some numbers.

    XLA would otherwise run all forward passes first and keep every
    activation; on a CPU it ignores `jax.lax.optimization_barrier`. So the
    values hang on a number that no sum ever is, a NaN of odd bits.
    """
    for number in numbers:
        never = jax.lax.bitcast_convert_type(number, "int32") == 0x7FC54321
        values = jax.tree.map(
            lambda x: jax.numpy.where(never, jax.numpy.zeros_like(x), x), values
        )
    return values


def _select(condition, new, old):
    return jax.tree.map(
        lambda new, old: jax.numpy.where(condition, new, old), new, old
    )


def _scope(variables, values):
    """A scope in which lists of variables have these values."""
    pairs = [pair for group in zip(variables, values) for pair in zip(*group)]
    return keras.StatelessScope(pairs, collect_losses=True)


def _values(scope, variables):
    return tuple(
        [scope.get_current_value(v) for v in group] for group in variables
    )


def process_index():
    """Which one of the processes this is that train a model together."""
    return jax.process_index()
