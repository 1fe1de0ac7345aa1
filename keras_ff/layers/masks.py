"""Masks of steps, which Keras attaches to tensors: the others are padding."""

import keras
from keras import ops

from keras_ff.keras_private import all_layers
from keras_ff.keras_private import attach_mask
from keras_ff.keras_private import mask_of
from keras_ff.layers.copy_with_mask import CopyWithMask

# They take the mask off what they attend to (docs/upstream.md): a sum with it
# has none.
ATTENTION = (
    keras.layers.MultiHeadAttention,
    keras.layers.GroupQueryAttention,
)


def with_mask(x, mask):
    """A tensor, with a mask attached if there is one."""
    if mask is not None:
        attach_mask(x, mask)
    return x


def without_mask(x):
    """A tensor that has no mask any more."""
    if mask_of(x) is not None:
        attach_mask(x, None)
    return x


def stop_gradient(x):
    """`ops.stop_gradient`, and the mask stays."""
    return with_mask(ops.stop_gradient(x), mask_of(x))


def along(x, mask, first=1):
    """A mask of steps in as many axes as a map has.

    Args:
        x: the map.
        mask: `(batch, steps, ...)`, of one or more of its axes.
        first: int, the axis of the map that the steps are.
    """
    mask = ops.cast(mask, "bool")
    for _ in range(first - 1):
        mask = ops.expand_dims(mask, 1)
    for _ in range(len(x.shape) - len(mask.shape)):
        mask = ops.expand_dims(mask, -1)
    return mask


def hide(x, shown, value=0.0):
    """A map, with a number in the place of its padding."""
    return x if shown is None else ops.where(shown, x, value)


def masked_mean(x, shown, axis, keepdims=False):
    """The mean over what is shown; 0 where that is nothing.

    Args:
        x: tensor.
        shown: what `along` gave, or `None`, all of it.
        axis, keepdims: as in `ops.mean`.
    """
    mean = ops.mean(hide(x, shown), axis=axis, keepdims=keepdims)
    if shown is None:
        return mean
    share = ops.mean(ops.cast(shown, x.dtype), axis=axis, keepdims=keepdims)
    return mean / ops.where(share > 0, share, 1.0)


def masked_max(x, shown, axis):
    """The maximum of what is shown; 0 where that is nothing."""
    maximum = ops.max(hide(x, shown, float("-inf")), axis=axis)
    if shown is None:
        return maximum
    return ops.where(ops.any(shown, axis=axis), maximum, 0.0)


def check_takes_mask(layer, x, owner):
    """Raises if a layer is to be called on what has a mask, and ignores it.

    Args:
        layer: the layer, a goodness head or a part of one.
        x: tensor.
        owner: the layer that it is part of.
    """
    if mask_of(x) is None or layer.supports_masking:
        return
    raise ValueError(
        f"'{layer.name}' ({type(layer).__name__}) in '{owner.name}' "
        f"({type(owner).__name__}) gets a sequence with a mask and does not "
        "say that it uses it: padding would change the goodness. Take "
        "keras_ff.layers.GoodnessProjection(num_classes) or another head that "
        "pools under the mask, pool before the head with "
        "keras.layers.GlobalAveragePooling1D(), or let the layer's `call` "
        "take a `mask` and set `supports_masking = True` in it. Received: "
        f"inputs of shape {tuple(x.shape)}"
    )


def pass_masks(layer):
    """Tells Keras that the layers of a model take care of masks.

    It would warn that the model loses them. One with attention does, unless
    it works on copies.
    """
    if not isinstance(layer, keras.Model) or layer.supports_masking:
        return
    operations = getattr(layer, "operations", ())
    if any(isinstance(each, CopyWithMask) for each in operations) or not any(
        isinstance(part, ATTENTION) for part in all_layers(layer)
    ):
        layer.supports_masking = True
        layer.compute_mask = _known_already


def _known_already(inputs, previous_mask=None):
    return None
