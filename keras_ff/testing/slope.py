from collections.abc import Callable

import numpy as np

from keras_ff.testing.arrays import change
from keras_ff.testing.arrays import normal
from keras_ff.testing.arrays import numpy
from keras_ff.testing.battery import demand

WIDTH = 1e-2


def check_slope(model, part, step: Callable, loss: Callable | None) -> None:
    """Raises unless a loss reaches what a part gets, and all of its weights.

    Held against differences of the loss, along one direction.

    Args:
        model: a model of `Scale`, `part` and the loss, which descends with
            the rate 1.
        part: the layer.
        step: function that trains the model once.
        loss: function of what the inputs are multiplied by, that gives the
            loss, or `None` if that is random.
    """
    scale = model.get_layer("in_front").scale
    direction = normal(tuple(scale.shape), seed=7)
    still = {variable.path for variable in part.trainable_variables}
    for start in (None, change):
        if start is not None:
            # The weights that a layer starts with may give no gradient yet.
            start(part)
        scale.assign(np.ones(scale.shape))
        before = {v.path: numpy(v) for v in part.trainable_variables}
        if loss is not None:
            ends = [loss(1 + side * WIDTH * direction) for side in (1, -1)]
        step()
        still -= {
            variable.path
            for variable in part.trainable_variables
            if np.any(numpy(variable) != before[variable.path])
        }
    gradient = 1 - numpy(scale)
    demand(
        np.all(np.isfinite(gradient)) and np.any(gradient),
        "what it gets has no gradient",
        f"a gradient of at most {np.abs(gradient).max():.2g} at its inputs",
        "numbers, not all of them 0",
        "use differentiable operations of `keras.ops` and no "
        "`ops.stop_gradient`: the local layer stops the gradient",
    )
    demand(
        not still,
        "trainable weights do not learn",
        f"no step of {sorted(still)}",
        "a step of every trainable weight",
        "use them, without `ops.stop_gradient` or rounding on the way, or "
        "make them with `trainable=False`",
    )
    if loss is None:
        return
    found, expected = (gradient * direction).sum(), _slope(*ends)
    demand(
        abs(found - expected) <= 0.05 * np.linalg.norm(gradient) + 1e-4,
        "the gradient at what it gets is not the slope of its loss",
        f"{found:.4g} along a random direction",
        f"{expected:.4g}, from differences of the loss",
        "leave no part of the computation out of the gradient, or mend what "
        "`keras.ops.custom_gradient` returns",
    )


def _slope(above, below):
    return (numpy(above) - numpy(below)) / (2 * WIDTH)
