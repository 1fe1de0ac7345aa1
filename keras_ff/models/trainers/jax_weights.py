import contextlib

import jax
import numpy as np
from jax.experimental import multihost_utils

from keras_ff import keras_private
from keras_ff.models.batches import undistributed


@contextlib.contextmanager
def whole_weights(model):
    """A context in which every process can read all of a model's weights.

    All processes that train it together enter it. What lies on devices of
    several processes is in the host's memory meanwhile. A process may then
    save alone: what variables Keras makes on its way (docs/upstream.md) are
    not placed on the devices of all, which all would have to take part in.
    """
    spread = _spread(model)
    values = [v.value for v in spread]
    for variable, value in zip(spread, values):
        keras_private.set_value(variable, _on_host(value))
    try:
        with undistributed():
            yield
    finally:
        for variable, value in zip(spread, values):
            keras_private.set_value(variable, value)


def spans_processes(model):
    """Whether weights lie on devices of several processes."""
    return bool(_spread(model))


def _spread(model):
    variables = list(model.variables)
    if getattr(model, "optimizer", None) is not None:
        variables += model.optimizer.variables
    return [
        v
        for v in variables
        if isinstance(v.value, jax.Array) and not v.value.is_fully_addressable
    ]


def _on_host(value):
    if value.is_fully_replicated:
        return np.asarray(value)
    return np.asarray(multihost_utils.process_allgather(value, tiled=True))
