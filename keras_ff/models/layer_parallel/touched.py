import keras
from keras import ops


class Touched(keras.StatelessScope):
    """A scope that notes which variables are read or written in it.

    All have the value one.

    Attributes:
        variables: list of them.
    """

    def __init__(self):
        super().__init__()
        self._found = {}

    @property
    def variables(self):
        return list(self._found.values())

    def get_current_value(self, variable):
        if id(variable) not in self.state_mapping:
            one = ops.ones(variable.shape, variable.dtype)
            self.add_update((variable, one))
        return super().get_current_value(variable)

    def add_update(self, update):
        variable, _ = update
        self._found[id(variable)] = variable
        super().add_update(update)


def optimizer_variables(optimizer, trained, trace):
    """Those of an optimizer's variables that training some weights needs.

    Args:
        optimizer: a built optimizer.
        trained: list of variables.
        trace: function that calls a function, whose result does not matter.
    """
    with Touched() as touched:
        gradients = [ops.zeros(v.shape, v.dtype) for v in trained]
        trace(lambda: optimizer.apply(gradients, trained))
    own = {id(variable) for variable in optimizer.variables}
    return [v for v in touched.variables if id(v) in own]
