"""Reads the assignment of channels to classes."""

import keras
import numpy as np


def as_shares(shares):
    """Shares as a checked NumPy array.

    Args:
        shares: array `(channels, classes)` whose rows sum to 1, or a layer
            with an assignment: a `ChannelClassAssignment`, `CAWConv2D` or
            `CAWDense`.

    Returns:
        NumPy array of shape `(channels, classes)`.

    Raises:
        ValueError: if the layer is not built or the array holds no shares.
        TypeError: if it is a layer without an assignment.
    """
    if isinstance(shares, keras.Layer):
        shares = _of_layer(shares)
    shares = np.asarray(keras.ops.convert_to_numpy(shares), "float64")
    if shares.ndim != 2 or not shares.size:
        raise ValueError(
            "Shares must have the shape (channels, classes). "
            f"Received: shape {shares.shape}"
        )
    sums = shares.sum(axis=1)
    if not (shares.min() >= 0 and np.allclose(sums, 1, atol=1e-3)):
        raise ValueError(
            "Every channel must share itself out among the classes: values "
            "of at least 0 whose rows sum to 1, as `shares()` of a "
            "ChannelClassAssignment gives. Received: values from "
            f"{shares.min():g} to {shares.max():g}, row sums from "
            f"{sums.min():g} to {sums.max():g}"
        )
    return shares


def specialization(shares):
    """The share of a channel in its own class, the mean over channels.

    From 1 / classes (every channel serves all alike) to 1.
    """
    return float(shares.max(axis=1).mean())


def relative_entropy(shares):
    """The entropy of a channel's shares, the mean over channels.

    Relative to its largest value, `ln(classes)`: from 0 (every channel serves
    one class) to 1 (all alike).
    """
    logarithms = np.log(np.where(shares > 0, shares, 1))
    entropies = -(shares * logarithms).sum(axis=1)
    return float(entropies.mean() / np.log(shares.shape[1]))


def has_shares(layer):
    """Whether a local layer has an assignment of channels to classes."""
    return hasattr(layer.head, "shares")


def _of_layer(layer):
    head = layer if hasattr(layer, "shares") else getattr(layer, "head", None)
    if not hasattr(head, "shares"):
        raise TypeError(
            "The layer must have an assignment of channels to classes, as "
            "CAWConv2D, CAWDense and ChannelClassAssignment have. Received: "
            f"{layer.name!r} of type {type(layer).__name__}"
        )
    if not head.built:
        raise ValueError(
            f"Layer {layer.name!r} has no weights yet. Use it in a model, or "
            "build it, before drawing it."
        )
    return head.shares()
