from collections.abc import Sequence
from typing import TYPE_CHECKING

import keras
import numpy as np

from keras_ff.type_aliases import Tensor
from keras_ff.visualization import style
from keras_ff.visualization.directions import as_directions
from keras_ff.visualization.names import class_names_or_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def prototype_similarity(
    prototypes: Tensor | keras.layers.Layer,
    class_names: Sequence[str] | None = None,
    ax: "Axes | None" = None,
    colorbar: bool = True,
) -> "Axes":
    """Draws the cosines between all prototypes as a matrix.

    The prototypes of a class are side by side.

    Args:
        prototypes: array `(classes, dimensions)` or `(classes, prototypes per
            class, dimensions)`, of any norm, or a layer with prototypes
            (`PrototypeDense`, `PrototypeConv2D`, `HypersphericalPrototypes`).
        class_names: list of strings. Defaults to the classes' numbers.
        ax: matplotlib axes. Defaults to those of a new figure.
        colorbar: bool, whether to draw the color scale, which is from -1 to
            1 in every picture. Defaults to `True`.

    Returns:
        The matplotlib axes.

    Raises:
        ValueError: if the shape is wrong, a prototype is zero or not finite,
            the layer is not built, or an argument does not fit.
        TypeError: if it is a layer without prototypes.
        ImportError: if matplotlib is not installed.

    Example:

    ```python
    keras_ff.visualization.prototype_similarity(model.local_layers[0])
    ```
    """
    directions = as_directions(prototypes)
    num_classes, per_class, size = directions.shape
    class_names = class_names_or_numbers(class_names, num_classes)
    flat = directions.reshape(-1, size)

    ax = style.get_axes(ax)
    image = ax.imshow(
        np.clip(flat @ flat.T, -1, 1),
        cmap="PuOr",
        vmin=-1,
        vmax=1,
        aspect="auto",
        interpolation="nearest",
    )
    style.decorate(ax, "prototype of class", "prototype of class")
    centers = per_class * np.arange(num_classes) + (per_class - 1) / 2
    style.name_axis(ax.xaxis, class_names, centers)
    style.name_axis(ax.yaxis, class_names, centers)
    if per_class > 1 and num_classes <= 20:
        for edge in per_class * np.arange(1, num_classes) - 0.5:
            ax.axhline(edge, color="white", linewidth=1)
            ax.axvline(edge, color="white", linewidth=1)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    if colorbar:
        style.color_scale(ax, image, "cosine")
    return ax
