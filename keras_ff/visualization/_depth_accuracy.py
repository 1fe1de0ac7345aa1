from collections.abc import Sequence
from typing import TYPE_CHECKING

import keras
import numpy as np

from keras_ff.type_aliases import Tensor
from keras_ff.visualization import style
from keras_ff.visualization.names import class_numbers
from keras_ff.visualization.names import layer_names_or_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def depth_accuracy(
    goodness: Tensor,
    weights: np.ndarray,
    labels: Tensor,
    names: Sequence[str] | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draws the accuracy of the prediction of the first 1, 2, ... layers.

    The prediction of the first k local layers is the weighted sum of their
    goodness. Nothing is drawn where none of them has a weight.

    Args:
        goodness: array `(samples, layers, classes)`, `model.goodness(x)`.
        weights: array `(layers,)`, `model.contribution.weights`.
        labels: array `(samples,)`, class numbers, or one-hot rows.
        names: list of strings, the layers from first to last. Defaults to
            their numbers from 1.
        ax: matplotlib axes. Defaults to those of a new figure.

    Returns:
        The matplotlib axes.

    Raises:
        ValueError: if a shape is wrong, a value is not finite, no layer has a
            weight, or a label is no class.
        ImportError: if matplotlib is not installed.

    Example:

    ```python
    keras_ff.visualization.depth_accuracy(
        model.goodness(x_test), model.contribution.weights, y_test
    )
    ```
    """
    goodness = np.asarray(keras.ops.convert_to_numpy(goodness), "float64")
    if goodness.ndim != 3 or not goodness.size:
        raise ValueError(
            "`goodness` must have the shape (samples, layers, classes), as "
            f"`model.goodness(x)` gives. Received: shape {goodness.shape}"
        )
    num_samples, num_layers, num_classes = goodness.shape
    weights = np.asarray(keras.ops.convert_to_numpy(weights), "float64")
    if weights.shape != (num_layers,):
        raise ValueError(
            f"`weights` must be one number a layer, {num_layers} in all, as "
            f"`model.contribution.weights` gives. Received: shape "
            f"{weights.shape}"
        )
    if not (np.isfinite(goodness).all() and np.isfinite(weights).all()):
        raise ValueError(
            "Goodness and weights must be finite. Received: NaN or infinity"
        )
    if not weights.any():
        raise ValueError(
            "At least one layer must have a weight. Received: weights of 0"
        )
    labels = class_numbers(labels, num_samples, num_classes)
    names = layer_names_or_numbers(names, num_layers)
    predictions = np.cumsum(weights[:, None] * goodness, axis=1)
    hits = np.argmax(predictions, axis=2) == labels[:, None]
    first = np.flatnonzero(weights)[0]
    accuracies = hits.mean(axis=0)[first:]

    ax = style.get_axes(ax)
    places = np.arange(first, num_layers)
    ax.plot(
        places,
        accuracies,
        "o-",
        color=style.OKABE_ITO[0],
        markersize=8,
        linewidth=2.2,
    )
    margin = max(0.15 * np.ptp(accuracies), 0.01)
    # Room below for the numbers.
    ax.set_ylim(accuracies.min() - 1.5 * margin, accuracies.max() + margin)
    ax.set_xlim(-0.5, num_layers - 0.5)
    style.number_points(ax, places, accuracies, below=True)
    style.name_axis(ax.xaxis, names)
    style.decorate(
        ax,
        "last local layer that is used, of those from the first on",
        "accuracy of their prediction",
    )
    style.horizontal_grid(ax)
    style.percent_axis(ax.yaxis)
    return ax
