import keras
from keras import ops

from keras_ff.dtypes import at_least_float32


class Gradients:
    """The gradients of the local losses of one batch.

    The parts that learn from losses of their own are differentiated in turn.
    Each waits for the gradients of those before, so that the activations of
    all are never in memory at once. A variable that several parts share gets
    the sum of their gradients.

    Args:
        differentiate: the backend's function `(part, objective, scale, before)
            -> (outputs, gradients)`. It runs `objective() -> (loss, outputs)`
            and waits for some of the scalars `before`, one for the gradients
            of each part before.
        reduce: the backend's function `gradients -> function () -> gradients`
            that starts to add up those of one part over all devices; what it
            gives ends it.
        scale: scalar, the optimizer's loss scale.
        clipnorm: float, the largest norm of the gradients of a part, or
            `None`.
    """

    def __init__(self, differentiate, reduce, scale, clipnorm):
        self._differentiate = differentiate
        self._reduce = reduce
        self._scale = scale
        self._clipnorm = clipnorm
        self._totals = []
        self._parts = []

    def learn(self, part, objective):
        """Adds the gradients of the loss of one part.

        Args:
            part: the layer that learns.
            objective: function without arguments, gives the loss and
                whatever else is wanted.

        Returns:
            What else is wanted, and whether the gradients are finite.
        """
        outputs, found = self._differentiate(
            part, objective, self._scale, self._totals
        )
        total = ops.cast(_sum(found), "float32")
        self._totals.append(total)
        self._parts.append(
            (part.trainable_variables, found, total, self._reduce(found))
        )
        return outputs, ops.isfinite(total)

    def skip(self, part):
        """Adds nothing to the gradients of a part: there is no sample."""
        variables = part.trainable_variables
        found = [ops.zeros_like(v.value) for v in variables]
        total = ops.zeros((), "float32")
        self._parts.append((variables, found, total, self._reduce(found)))

    def of(self, variables):
        """The gradients of these variables, over all devices.

        Returns:
            A list in this order, and whether all are finite, a tensor.
        """
        found, totals = {}, []
        for part, own, total, reduced in self._parts:
            gradients = reduced()
            if gradients is not own:
                total = ops.cast(_sum(gradients), "float32")
            totals.append(total)
            for variable, gradient in zip(part, self._clip(gradients)):
                if id(variable) in found:
                    gradient = found[id(variable)] + gradient
                found[id(variable)] = gradient
        finite = ops.isfinite(sum(totals))
        return [found[id(variable)] for variable in variables], finite

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
