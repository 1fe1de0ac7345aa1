from collections.abc import Sequence
from typing import TYPE_CHECKING

import keras
import numpy as np

from keras_ff.visualization import style
from keras_ff.visualization.names import layer_names_or_numbers
from keras_ff.visualization.shares import as_shares
from keras_ff.visualization.shares import has_shares
from keras_ff.visualization.shares import relative_entropy
from keras_ff.visualization.shares import specialization as mean_largest

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def specialization(
    layers: keras.Model | Sequence[keras.layers.Layer],
    names: Sequence[str] | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draws how far the channels of each layer belong to one class.

    Two numbers a layer, both a mean over its channels. *Specialization* is
    the share of a channel in its own class: 100 % where every channel serves
    one class, 1 / classes (gray) where it serves all alike.
    *Entropy* is that of its shares, relative to the largest possible, ln
    (classes): 0 % where every channel serves one class, 100 % where it serves
    all alike.

    Args:
        layers: a model, whose local layers with an assignment are drawn, or a
            list of layers or of arrays as `keras_ff.visualization.assignment`
            takes them, from first to last.
        names: list of strings. Defaults to the layers' names.
        ax: matplotlib axes. Defaults to those of a new figure.

    Returns:
        The matplotlib axes.

    Raises:
        ValueError: if there is no layer with an assignment, one is not built,
            or an argument does not fit.
        TypeError: if one of a list of layers has no assignment.
        ImportError: if matplotlib is not installed.

    Example:

    ```python
    keras_ff.visualization.specialization(model)
    ```
    """
    if isinstance(layers, keras.Model):
        layers = _assigned_layers(layers)
    layers = list(layers)
    if not layers:
        raise ValueError("`layers` must not be empty. Received: []")
    shares = [as_shares(layer) for layer in layers]
    if names is None and all(isinstance(x, keras.Layer) for x in layers):
        names = [layer.name for layer in layers]
    names = layer_names_or_numbers(names, len(layers))

    ax = style.get_axes(ax)
    places = np.arange(len(layers))
    series = [
        ("specialization", mean_largest, "o"),
        ("entropy", relative_entropy, "s"),
    ]
    colors = style.qualitative(len(series))
    heights = []
    for (label, measure, marker), color in zip(series, colors):
        values = [measure(share) for share in shares]
        ax.plot(
            places,
            values,
            color=color,
            marker=marker,
            markersize=8,
            linewidth=2.2,
            label=label,
        )
        heights.append(values[-1])
    for share, place in zip(shares, places):
        # No channel can be less specialized.
        ax.plot(
            [place - 0.3, place + 0.3],
            [1 / share.shape[1]] * 2,
            color="0.6",
            linewidth=2,
        )
    ax.set_xlim(-0.5, len(layers) - 0.5)
    ax.set_ylim(-0.02, 1.02)
    style.name_axis(ax.xaxis, names)
    style.decorate(ax, "local layer, from first to last", "mean over channels")
    style.horizontal_grid(ax)
    style.percent_axis(ax.yaxis)
    style.label_right(
        ax,
        [*heights, 1 / share.shape[1]],
        [*[label for label, _, _ in series], "1 / classes"],
        [*colors, "0.4"],
    )
    return ax


def _assigned_layers(model):
    local_layers = getattr(model, "local_layers", [])
    found = [layer for layer in local_layers if has_shares(layer)]
    if not found:
        raise ValueError(
            f"Model {model.name!r} has no local layer with an assignment of "
            "channels to classes, as CAWConv2D and CAWDense have. Received: "
            f"local layers {[layer.name for layer in local_layers]}"
        )
    return found
