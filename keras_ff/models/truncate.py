import keras
import numpy as np
from keras import ops

from keras_ff.checks import is_integer
from keras_ff.models.copy_values import copy_values
from keras_ff.models.unregistered import unregistered


def truncate(model, k=None):
    """A new model of the first layers; see `ForwardOnlyModel.truncate`."""
    graph, weights = model._graph, model.contribution.weights
    order = graph.running_order
    names = [graph.local_layers[i].name for i in order]
    if k is None:
        number = max(
            (n for n, i in enumerate(order, 1) if weights[i] != 0),
            default=len(order),
        )
    else:
        number = _number(k, names)
    kept = sorted(order[:number])
    readout = model._readout
    contribution = model.contribution
    shared = type(model)(
        model.input,
        [graph.goodness_tensors[i] for i in kept],
        contribution=type(contribution).from_config(contribution.get_config()),
        layer_clipnorm=readout.layer_clipnorm,
        layer_metrics=readout.layer_metrics,
        name=model.name,
    )
    shared._readout.task = readout.task
    if np.any(weights[kept]):
        shared._readout.contribution_weights.assign(_rescaled(weights, kept))
    for name in ("epoch", "shuffle_seed"):
        value = ops.convert_to_numpy(getattr(readout, name))
        getattr(shared._readout, name).assign(value)
    silent = ops.convert_to_numpy(readout.silent)
    shared._readout.silent.assign(silent[kept])
    with unregistered(shared):
        copy = keras.models.clone_model(shared)
    copy_values(shared.weights, copy.weights)
    copy_values(shared._seed_states(), copy._seed_states())
    if not model.trainable:
        copy.trainable = False
    return copy


def _number(k, names):
    """How many local layers are kept."""
    if isinstance(k, str):
        if k not in names:
            raise ValueError(
                "`k` must be the name of a local layer. Received: "
                f"k={k!r}. Local layers: {names}"
            )
        return names.index(k) + 1
    if not is_integer(k):
        raise TypeError(
            "`k` must be a number of local layers, the name of one, or None. "
            f"Received: k={k!r} of type {type(k).__name__}"
        )
    if not 1 <= k <= len(names):
        raise ValueError(
            f"`k` must be from 1 to {len(names)}, the number of local layers. "
            f"Received: k={k}. Local layers: {names}"
        )
    return int(k)


def _rescaled(weights, kept):
    """Weights that summed to one do so again; others stay."""
    total = weights[kept].sum()
    if len(kept) == len(weights):
        return weights
    if np.isclose(weights.sum(), 1) and total != 0:
        return weights[kept] / total
    return weights[kept]
