"""Reads the prototypes of the classes."""

import keras
import numpy as np


def as_directions(prototypes):
    """Prototypes as a checked NumPy array of unit-norm vectors.

    Args:
        prototypes: array `(classes, dimensions)` or `(classes, prototypes per
            class, dimensions)`, or a layer that has prototypes: a
            `HypersphericalPrototypes`, `PrototypeDense` or `PrototypeConv2D`.

    Returns:
        NumPy array of shape `(classes, prototypes per class, dimensions)`.

    Raises:
        ValueError: if the layer is not built or the array is no prototypes.
        TypeError: if it is a layer without prototypes.
    """
    if isinstance(prototypes, keras.Layer):
        prototypes = _of_layer(prototypes)
    vectors = np.asarray(keras.ops.convert_to_numpy(prototypes), "float64")
    if vectors.ndim not in (2, 3) or not vectors.size:
        raise ValueError(
            "Prototypes must have the shape (classes, dimensions) or "
            "(classes, prototypes per class, dimensions). Received: shape "
            f"{vectors.shape}"
        )
    if vectors.ndim == 2:
        vectors = vectors[:, None]
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    if not (np.isfinite(norms).all() and norms.min() > 0):
        raise ValueError(
            "Prototypes must be finite and have a direction. Received: one "
            f"of norm {norms[~(norms > 0) | ~np.isfinite(norms)][0]}"
        )
    return vectors / norms


def separation(directions):
    """The angle to the nearest prototype of another class, in degrees.

    The mean over all prototypes.

    Args:
        directions: array `(classes, prototypes per class, dimensions)` of
            unit-norm vectors, of at least two classes.
    """
    count, per_class, size = directions.shape
    flat = directions.reshape(-1, size)
    cosines = flat @ flat.T
    classes = np.repeat(np.arange(count), per_class)
    cosines[classes[:, None] == classes] = -1
    angles = np.arccos(np.clip(cosines.max(axis=1), -1, 1))
    return float(np.degrees(angles).mean())


def has_directions(layer):
    """Whether a local layer has prototypes."""
    return hasattr(layer.head, "unit_prototypes")


def _of_layer(layer):
    head = layer
    if not hasattr(head, "unit_prototypes"):
        head = getattr(layer, "head", None)
    if not hasattr(head, "unit_prototypes"):
        raise TypeError(
            "The layer must have prototypes, as PrototypeDense, "
            "PrototypeConv2D and HypersphericalPrototypes have. Received: "
            f"{layer.name!r} of type {type(layer).__name__}"
        )
    if not head.built:
        raise ValueError(
            f"Layer {layer.name!r} has no weights yet. Use it in a model, or "
            "build it, before drawing it."
        )
    return head.unit_prototypes()
