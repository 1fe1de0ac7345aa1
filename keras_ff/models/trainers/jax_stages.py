from typing import Any

import jax

from keras_ff import keras_private
from keras_ff.models.trainers.stages import Stages


class JaxStages(Stages):
    """How loops on JAX run in stages."""

    # What an epoch began with.
    _first_state: Any = None

    def _function_in_stages(self, spread):
        def function(state, iterator):
            data = next(iterator)
            if not spread.is_running:
                self._first_state = state
                if self._loop is not None:
                    # They are not used up: an interrupt finds them whole.
                    self._loop.values = state
            outputs = spread.put(data, lambda: self._by_variable(state))
            return outputs, state

        return function

    def _by_variable(self, state):
        return {
            id(variable): value
            for variables, values in zip(self._groups(len(state)), state)
            for variable, value in zip(variables, values)
        }

    def _groups(self, size):
        """The variables in the order of Keras's state."""
        yield self.trainable_variables
        yield self.non_trainable_variables
        if size == 4:
            yield self.optimizer.variables
        if size >= 3:
            yield self.metrics_variables

    def _newest_values(self):
        spread = self._spread
        if spread is None or not spread.is_running:
            return super()._newest_values()
        state, self._first_state = self._first_state, None
        found = spread.collect()
        return tuple(
            [
                jax.device_put(found.get(id(variable), value), value.sharding)
                for variable, value in zip(variables, values)
            ]
            for variables, values in zip(self._groups(len(state)), state)
        )

    def _settle(self):
        keras_private.write_jax_state(self)
