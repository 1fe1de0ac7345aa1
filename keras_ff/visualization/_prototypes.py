from collections.abc import Sequence
from typing import TYPE_CHECKING

import keras
import numpy as np

from keras_ff.type_aliases import Tensor
from keras_ff.visualization import style
from keras_ff.visualization.directions import as_directions
from keras_ff.visualization.names import class_names_or_numbers
from keras_ff.visualization.names import class_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def prototypes(
    prototypes: Tensor | keras.layers.Layer,
    embeddings: Tensor = None,
    labels: Tensor = None,
    class_names: Sequence[str] | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draws prototypes, and samples among them, in two dimensions.

    The two principal components of everything drawn. Prototypes are large
    and outlined, with the names of their classes as far as there is room;
    samples are small, in the color and the shape of their class.

    Args:
        prototypes: array `(classes, dimensions)` or `(classes, prototypes per
            class, dimensions)`, of any norm, or a layer with prototypes
            (`PrototypeDense`, `PrototypeConv2D`, `HypersphericalPrototypes`).
        embeddings: array `(samples, dimensions)`, as `embed` of a
            `HypersphericalPrototypes` gives. Defaults to `None`, no samples.
        labels: array `(samples,)`, the samples' class numbers. Needed with
            `embeddings`.
        class_names: list of strings. Defaults to the classes' numbers.
        ax: matplotlib axes. Defaults to those of a new figure.

    Returns:
        The matplotlib axes.

    Raises:
        ValueError: if a shape is wrong, a prototype is zero or not finite,
            the layer is not built, there are fewer than two points or
            dimensions, or an argument does not fit.
        TypeError: if it is a layer without prototypes.
        ImportError: if matplotlib is not installed.

    Example:

    ```python
    layer = model.local_layers[0]
    embeddings = layer.head.embed(layer.activate(x_test))
    keras_ff.visualization.prototypes(layer, embeddings, y_test)
    ```
    """
    directions = as_directions(prototypes)
    num_classes, per_class, size = directions.shape
    class_names = class_names_or_numbers(class_names, num_classes)
    directions = directions.reshape(-1, size)
    classes = np.repeat(np.arange(num_classes), per_class)
    samples, labels = _samples(embeddings, labels, num_classes, size)
    points, explained = _principal_components([directions, *samples])

    ax = style.get_axes(ax)
    colors = np.array(style.qualitative(num_classes))
    shapes = style.markers(num_classes)
    stars, dots = points[: len(directions)], points[len(directions) :]
    for k in range(num_classes):
        ax.scatter(
            *dots[labels == k].T,
            s=12,
            color=colors[k],
            marker=shapes[k],
            alpha=0.5,
            linewidth=0,
        )
        ax.scatter(
            *stars[classes == k].T,
            s=90 if len(stars) <= 30 else 25,
            color=colors[k],
            marker=shapes[k],
            edgecolor=style.INK,
            linewidth=1.2,
            label=class_names[k],
            zorder=3,
        )
    ax.set_aspect("equal", adjustable="datalim")
    style.decorate(
        ax,
        *[
            f"{nth} component ({100 * share:.0f} % of the variance)"
            for nth, share in zip(("first", "second"), explained)
        ],
    )
    ax.margins(0.12)
    style.label_points(
        ax, stars, [class_names[k] for k in classes], colors[classes]
    )
    return ax


def _samples(embeddings, labels, num_classes, size):
    """Checked samples, as a list of at most one array, and their labels."""
    if (embeddings is None) != (labels is None):
        raise ValueError(
            "`embeddings` and `labels` belong together. Received: "
            f"{'no embeddings' if embeddings is None else 'no labels'}"
        )
    if embeddings is None:
        return [], np.empty(0, int)
    embeddings = np.asarray(keras.ops.convert_to_numpy(embeddings), "float64")
    if embeddings.ndim != 2 or embeddings.shape[1] != size:
        raise ValueError(
            f"`embeddings` must have the shape (samples, {size}), as the "
            f"prototypes have {size} dimensions. Received: shape "
            f"{embeddings.shape}"
        )
    return [embeddings], class_numbers(labels, len(embeddings), num_classes)


def _principal_components(arrays):
    """The rows in two principal components, and the variance of each."""
    rows = np.concatenate(arrays)
    if min(rows.shape) < 2:
        raise ValueError(
            "Two components need at least two points of at least two "
            f"dimensions. Received: {len(rows)} points of {rows.shape[1]}"
        )
    rows = rows - rows.mean(axis=0)
    _, lengths, axes = np.linalg.svd(rows, full_matrices=False)
    variances = lengths**2
    return rows @ axes[:2].T, variances[:2] / max(variances.sum(), 1e-12)
