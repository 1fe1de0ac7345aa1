import functools

import keras
import torch

from keras_ff.models.trainers.stages import Stages


def _settled(name):
    """A method of a Keras model, which sees no batch under way."""

    @functools.wraps(getattr(keras.Model, name))
    def method(self, *args, **kwargs):
        self._settle()
        return getattr(super(TorchStages, self), name)(*args, **kwargs)

    return method


class TorchStages(Stages):
    """How loops on PyTorch run in stages."""

    save = _settled("save")
    save_weights = _settled("save_weights")
    load_weights = _settled("load_weights")
    get_weights = _settled("get_weights")
    set_weights = _settled("set_weights")

    def _function_in_stages(self, spread):
        def values():
            return {id(v): v.value for v in self._all_variables()}

        def function(data):
            (data,) = data
            rate = spread.learning_rate
            if rate is not None:
                rate = rate.value.detach().clone()
            return spread.put(data, values, rate)

        return function

    @torch.no_grad()
    def _settle(self):
        spread = self._spread
        if spread is None or not spread.is_running:
            return
        values = spread.collect()
        for variable in self._all_variables():
            value = values.get(id(variable))
            if value is not None and value is not variable.value:
                variable.assign(value)

    def _all_variables(self):
        variables = [*self.variables, *self.metrics_variables]
        if getattr(self, "optimizer", None) is not None:
            variables += self.optimizer.variables
        return variables
