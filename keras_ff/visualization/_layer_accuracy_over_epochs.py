import re
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from keras_ff.visualization import style
from keras_ff.visualization.logs import logs_of
from keras_ff.visualization.logs import metric_values

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def layer_accuracy_over_epochs(
    history: Any, names: Sequence[str] | None = None, ax: "Axes | None" = None
) -> "Axes":
    """Draws the accuracy of every local layer over the epochs.

    Of validation data where the history has them, of the training batches
    otherwise. The combined prediction is the black line.

    Args:
        history: what `fit` returned, or its `.history`, of a
            `ForwardOnlyModel` made with `layer_metrics=True`.
        names: list of the names of local layers, from first to last. Defaults
            to all layers of the history, by the numbers in their names.
        ax: matplotlib axes. Defaults to those of a new figure.

    Returns:
        The matplotlib axes.

    Raises:
        ValueError: if the history has no accuracy of (such) a layer.
        TypeError: if `history` is not a history.
        ImportError: if matplotlib is not installed.

    Example:

    ```python
    history = model.fit(train, validation_data=validation, epochs=10)
    keras_ff.visualization.layer_accuracy_over_epochs(history)
    ```
    """
    logs = logs_of(history)
    names = _layer_names(logs) if names is None else list(names)
    if not names:
        raise ValueError(
            "The history has no accuracy of a layer. Make the model with "
            "`layer_metrics=True` and train it. Received: a history of "
            f"{sorted(logs) or 'nothing'}"
        )
    held_out = f"val_{names[0]}_accuracy" in logs
    prefix = "val_" if held_out else ""
    curves = {n: metric_values(logs, f"{prefix}{n}_accuracy") for n in names}
    colors = list(style.sequential(len(names)))
    if f"{prefix}accuracy" in logs:
        curves["combined"] = metric_values(logs, f"{prefix}accuracy")
        colors.append("black")

    ax = style.get_axes(ax)
    for (name, values), color in zip(curves.items(), colors):
        ax.plot(
            np.arange(1, len(values) + 1),
            values,
            color=color,
            linewidth=1.8,
            label=name,
            marker="o" if len(values) == 1 else None,
        )
    style.decorate(
        ax, "epoch", f"{'validation' if held_out else 'training'} accuracy"
    )
    style.horizontal_grid(ax)
    style.epoch_axis(ax, max(map(len, curves.values())))
    style.percent_axis(ax.yaxis)
    style.label_right(
        ax, [values[-1] for values in curves.values()], curves, colors
    )
    return ax


def _layer_names(logs):
    """The names with a loss and an accuracy of their own, in order."""
    names = {
        key.removeprefix("val_").removesuffix("_accuracy")
        for key in logs
        if key.endswith("_accuracy") and key != "val_accuracy"
    }
    names = [n for n in names if {f"{n}_loss", f"val_{n}_loss"} & set(logs)]
    return sorted(names, key=_numbers_as_numbers)


def _numbers_as_numbers(name):
    return [
        int(part) if part.isdigit() else part
        for part in re.split(r"(\d+)", name)
    ]
