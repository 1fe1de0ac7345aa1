import keras
from keras import ops

from keras_ff.dtypes import at_least_float32


class Gradients:
    """The gradients of the local losses of one batch.

    The parts that learn from losses of their own are differentiated in turn.
    Each waits for the gradients of the one before, so that the activations
    of only one are in memory. A variable that several parts share gets the
    sum of their gradients.

    Args:
        differentiate: the backend's function `(part, objective, scale, after)
            -> (outputs, gradients)`. It runs `objective() -> (loss, outputs)`
            once the scalar `after` is known.
        scale: scalar, the optimizer's loss scale.
        clipnorm: float, the largest norm of the gradients of a part, or
            `None`.
    """

    def __init__(self, differentiate, scale, clipnorm):
        self._differentiate = differentiate
        self._scale = scale
        self._clipnorm = clipnorm
        self._totals = []
        self._found = {}

    def learn(self, part, objective):
        """Adds the gradients of the loss of one part.

        Args:
            part: the layer that learns.
            objective: function without arguments, gives the loss and
                whatever else is wanted.

        Returns:
            What else is wanted, and whether the gradients are finite.
        """
        after = self._totals[-1] if self._totals else None
        outputs, found = self._differentiate(
            part, objective, self._scale, after
        )
        self._totals.append(ops.cast(_sum(found), "float32"))
        for variable, gradient in zip(
            part.trainable_variables, self._clip(found)
        ):
            if id(variable) in self._found:
                gradient = self._found[id(variable)] + gradient
            self._found[id(variable)] = gradient
        return outputs, ops.isfinite(self._totals[-1])

    def are_finite(self):
        """Whether all gradients are finite, a tensor."""
        return ops.isfinite(sum(self._totals))

    def of(self, variables):
        """The gradients of these variables, in this order."""
        return [self._found[id(variable)] for variable in variables]

    def _clip(self, gradients):
        if self._clipnorm is None:
            return gradients
        norm = ops.sqrt(_sum(gradients, ops.square))
        # The gradients still carry the loss scale.
        limit = self._clipnorm * ops.cast(self._scale, norm.dtype)
        factor = limit / ops.maximum(norm, limit)
        return [g * ops.cast(factor, g.dtype) for g in gradients]


def _sum(tensors, function=lambda x: x):
    """The sum of all numbers, in no less than float32."""
    dtypes = [keras.backend.standardize_dtype(x.dtype) for x in tensors]
    dtype = at_least_float32(*dtypes)
    return sum(ops.sum(function(ops.cast(x, dtype))) for x in tensors)
