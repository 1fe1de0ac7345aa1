from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_ff.visualization import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def layer_accuracy(
    names: Sequence[str],
    accuracies: Sequence[float],
    combined: float | None = None,
    reference: float | tuple[str, float] | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draws the accuracy that every local layer reaches by itself.

    Args:
        names: list of strings, the layers from first to last.
        accuracies: list of floats in `[0, 1]`, one a layer.
        combined: float, the accuracy of the combined prediction. Defaults to
            `None`, not drawn.
        reference: float, the accuracy of the same network trained by
            backpropagation, or a pair `(label, accuracy)`. Defaults to
            `None`, not drawn.
        ax: matplotlib axes. Defaults to those of a new figure.

    Returns:
        The matplotlib axes.

    Raises:
        ValueError: if there is no layer, the lengths differ, or a value is
            not in `[0, 1]`.
        ImportError: if matplotlib is not installed.

    Example:

    ```python
    logs = model.evaluate(test, return_dict=True)  # with layer_metrics=True
    names = [layer.name for layer in model.local_layers]
    keras_ff.visualization.layer_accuracy(
        names,
        [logs[f"{name}_accuracy"] for name in names],
        combined=logs["accuracy"],
    )
    ```
    """
    names = list(names)
    values = np.asarray(accuracies, "float64")
    if not names or values.shape != (len(names),):
        raise ValueError(
            "`accuracies` must be one number a layer, for at least one layer. "
            f"Received: {len(names)} names and accuracies of shape "
            f"{values.shape}"
        )
    blue, vermilion = style.OKABE_ITO[:2]
    lines = []
    if combined is not None:
        lines.append(("combined", combined, blue, "-"))
    if isinstance(reference, (tuple, list)):
        lines.append((*reference, vermilion, "--"))
    elif reference is not None:
        lines.append(("backpropagation", reference, vermilion, "--"))
    _check_accuracies([*values, *(line[1] for line in lines)])

    ax = style.get_axes(ax)
    for label, height, color, dashes in lines:
        ax.axhline(height, color=color, linestyle=dashes, label=label, lw=2)
    places = np.arange(len(names))
    ax.plot(places, values, "o", color=style.INK, markersize=9)
    ax.set_xlim(-0.5, len(names) - 0.5)
    style.name_axis(ax.xaxis, names)
    heights = [*values, *(line[1] for line in lines)]
    margin = max(0.15 * (max(heights) - min(heights)), 0.01)
    # Room below for the numbers.
    ax.set_ylim(min(heights) - 1.5 * margin, max(heights) + margin)
    style.number_points(ax, places, values, below=True)
    style.decorate(ax, "local layer, from first to last", "accuracy")
    style.horizontal_grid(ax)
    style.percent_axis(ax.yaxis)
    style.label_right(
        ax,
        [height for _, height, _, _ in lines],
        [f"{label}\n{100 * height:.1f} %" for label, height, _, _ in lines],
        [color for _, _, color, _ in lines],
    )
    return ax


def _check_accuracies(values):
    wrong = [v for v in values if not 0 <= v <= 1]
    if wrong:
        raise ValueError(f"Accuracies must be in [0, 1]. Received: {wrong[0]}")
