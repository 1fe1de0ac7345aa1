import math

from keras_ff.keras_private import show_shape


class Weight:
    """A weight as a row of a summary: what that asks layers.

    Args:
        variable: the weight.
    """

    built = True

    def __init__(self, variable):
        self.name = variable.name
        self.weights = [variable]
        self.trainable = variable.trainable
        show_shape(self, variable)

    def count_params(self):
        (variable,) = self.weights
        return math.prod(variable.shape)
