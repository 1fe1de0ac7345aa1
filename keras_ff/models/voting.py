import warnings

import numpy as np
from keras import ops

from keras_ff.keras_private import all_layers
from keras_ff.keras_private import producer
from keras_ff.models.graph import goodness_tensors


def start_voting(model):
    """Takes their say from the layers that never learned and will not now.

    A frozen layer in front, taken from another network, has a head that
    nothing has trained. Thawed, it counts again. One that is frozen after
    the model's first epoch has learned.

    Args:
        model: a `LocalLossModel` that is about to train.
    """
    readout = model._readout
    layers = map(producer, goodness_tensors(model, readout))
    frozen = np.array([_is_frozen(layer) for layer in layers])
    before = _numpy(readout.silent)
    if np.all(frozen):
        warnings.warn(
            "All local layers are frozen: none of them learns, and each keeps "
            "the say that it has.",
            stacklevel=3,
        )
        return
    if not np.any(frozen | (before > 0)):
        return
    never = (before > 0) | ((before == 0) & (model.epoch == 0))
    after = np.where(never & frozen, 1.0, np.minimum(before, 0.0))
    if np.array_equal(after, before):
        return
    readout.silent.assign(after)
    initial = readout.contribution.initial_weights(len(after))
    readout.contribution_weights.assign(of_voters(readout, initial))


def of_voters(readout, weights):
    """Weights of the layers without a say go to the others.

    Args:
        readout: the `Readout` of a model.
        weights: NumPy array, one weight a layer.

    Returns:
        NumPy array, as `weights`.
    """
    votes = _numpy(readout.votes())
    if np.all(votes):
        return weights
    kept = weights * votes
    if not np.any(kept):
        # None of those that count had a weight.
        kept = votes
    initial = readout.contribution.initial_weights(len(votes))
    return kept / kept.sum() if np.isclose(initial.sum(), 1) else kept


def _is_frozen(layer):
    """Whether a layer does not learn because it was told so."""
    return not layer.trainable_variables and any(
        not part.trainable for part in all_layers(layer)
    )


def _numpy(tensor):
    return np.array(ops.convert_to_numpy(tensor))
