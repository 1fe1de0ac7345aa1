"""The names of a model's numbers in the files that devices read and write."""

import keras

from keras_ff import keras_private

CONTRIBUTION = "contribution"
OPTIMIZER = "optimizer/"


class Names:
    """By what name each variable of a model is known to a device.

    Args:
        model: a `ForwardOnlyModel`.

    Attributes:
        by_name: dict from names to the variables whose values devices keep.
        epochs: list of the variables that follow the number of finished
            epochs; devices keep one value for all, `epoch`.
    """

    def __init__(self, model):
        readout = model._readout
        random = keras_private.random_states(model.layers)
        self.epochs = [
            layer.epoch
            for layer in keras_private.all_layers(model)
            if layer is not readout
            and layer is not model
            and isinstance(getattr(layer, "epoch", None), keras.Variable)
        ]
        self._epochs = {id(v) for v in self.epochs}
        self._random = {
            id(v) for v in [*random, readout.shuffle_seed, readout.epoch]
        }
        self.by_name = {}
        for variable in model.variables:
            if id(variable) in self._epochs | self._random:
                continue
            name = variable.path
            if variable is readout.contribution_weights:
                name = CONTRIBUTION
            self.by_name[_unused(name, self.by_name)] = variable
        self._names = {id(v): name for name, v in self.by_name.items()}

    def of(self, variable):
        """The name of a variable."""
        return self._names[id(variable)]

    def is_kept(self, variable):
        """Whether a device keeps a value of this variable."""
        return id(variable) in self._names

    def counts_epochs(self, variable):
        """Whether a variable follows the number of finished epochs."""
        return id(variable) in self._epochs


def state_name(variable):
    """The name of a variable of an optimizer."""
    return OPTIMIZER + variable.name


def _unused(name, names):
    number, wanted = 1, name
    while wanted in names:
        number += 1
        wanted = f"{name}:{number}"
    return wanted
