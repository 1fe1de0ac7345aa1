import jax
import keras

from keras_ff.models.trainers.local_step import LocalStep


class LocalTrainer(LocalStep):
    """The local step on JAX: one `value_and_grad` a layer in one function."""

    def train_step(self, state, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        variables = (
            self.trainable_variables,
            self.non_trainable_variables,
            self.optimizer.variables,
            self.metrics_variables,
        )
        with _scope(variables, state) as scope:
            batch = self._local_pass(
                x, y, sample_weight, True, self._differentiate
            )
            logs = self._log_batch(batch)
            sound = self._statistics.is_sound()
        trainable, non_trainable, optimizer, metrics = _values(scope, variables)
        updated = self.optimizer.stateless_apply(
            optimizer, batch.gradients, trainable
        )
        trainable, optimizer, non_trainable = jax.tree.map(
            lambda new, old: jax.numpy.where(sound, new, old),
            (*updated, non_trainable),
            (trainable, optimizer, state[1]),
        )
        return logs, (trainable, non_trainable, optimizer, metrics)

    def test_step(self, state, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        variables = (
            self.trainable_variables,
            self.non_trainable_variables,
            self.metrics_variables,
        )
        with _scope(variables, state) as scope:
            logs = self._log_batch(self._local_pass(x, y, sample_weight, False))
        return logs, _values(scope, variables)

    def _differentiate(self, layer, objective, scale):
        trainable = layer.trainable_variables
        others = layer.non_trainable_variables
        other_values = [v.value for v in others]

        def local_loss(values):
            with _scope((trainable, others), (values, other_values)) as scope:
                loss, outputs = objective()
            return loss * scale, (outputs, _values(scope, (others,)))

        gradient = jax.grad(local_loss, has_aux=True)
        gradients, (outputs, (other_values,)) = gradient(
            [v.value for v in trainable]
        )
        for variable, value in zip(others, other_values):
            variable.assign(value)
        return outputs, gradients


def _scope(variables, values):
    """A scope in which lists of variables have these values."""
    pairs = [pair for group in zip(variables, values) for pair in zip(*group)]
    return keras.StatelessScope(pairs, collect_losses=True)


def _values(scope, variables):
    return tuple(
        [scope.get_current_value(v) for v in group] for group in variables
    )
