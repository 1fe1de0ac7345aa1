from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from keras_ff.visualization import style
from keras_ff.visualization.logs import metric_values

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def learning_curves(
    histories: dict[str, Any],
    metric: str = "val_accuracy",
    ax: "Axes | None" = None,
) -> "Axes":
    """Draws one metric of several trainings over the epochs.

    Args:
        histories: dictionary from a name to what `fit` returned, or to its
            `.history`, or to a list of them, one a seed: then the line is
            their mean, and the band around it from the least to the
            greatest.
        metric: string, the key of the metric. Defaults to `"val_accuracy"`.
        ax: matplotlib axes. Defaults to those of a new figure.

    Returns:
        The matplotlib axes.

    Raises:
        ValueError: if there is no history, one lacks the metric, trainings
            of one name have unequal numbers of epochs, or there are more
            names than lines that can be told apart (28).
        TypeError: if `histories` is not a dictionary of histories.
        ImportError: if matplotlib is not installed.

    Example:

    ```python
    history = model.fit(train, validation_data=validation, epochs=10)
    ax = keras_ff.visualization.learning_curves({"forward-only": history})
    ax.figure.savefig("curves.png")

    # Three seeds each.
    keras_ff.visualization.learning_curves(
        {"forward-only": [a, b, c], "backpropagation": [d, e, f]}
    )
    ```
    """
    if not isinstance(histories, dict):
        raise TypeError(
            "`histories` must be a dictionary from a name to a history. "
            f"Received: {histories!r} of type {type(histories).__name__}"
        )
    if not histories:
        raise ValueError("`histories` must not be empty. Received: {}")
    curves = {name: _runs(name, h, metric) for name, h in histories.items()}
    colors, styles = style.lines(len(curves))
    ax = style.get_axes(ax)
    for (name, runs), color, linestyle in zip(curves.items(), colors, styles):
        epochs = np.arange(1, runs.shape[1] + 1)
        ax.plot(
            epochs,
            runs.mean(axis=0),
            color=color,
            linestyle=linestyle,
            linewidth=2.2,
            label=name,
            # A single epoch would be an invisible line.
            marker="o" if len(epochs) == 1 else None,
        )
        if len(runs) > 1:
            low, high = runs.min(axis=0), runs.max(axis=0)
            ax.fill_between(
                epochs, low, high, color=color, alpha=0.18, linewidth=0
            )
    style.decorate(ax, "epoch", _title(metric))
    style.horizontal_grid(ax)
    style.epoch_axis(ax, max(runs.shape[1] for runs in curves.values()))
    if "accuracy" in metric:
        style.percent_axis(ax.yaxis)
    ends = [runs[:, -1].mean() for runs in curves.values()]
    style.label_right(ax, ends, curves, colors)
    return ax


def _runs(name, histories, metric):
    """The metric of the trainings of one name, `(trainings, epochs)`."""
    if not isinstance(histories, (list, tuple)):
        histories = [histories]
    if not histories:
        raise ValueError(
            f"{name!r} must have at least one history. Received: []"
        )
    runs = [metric_values(history, metric) for history in histories]
    lengths = sorted(set(map(len, runs)))
    if lengths[1:]:
        raise ValueError(
            f"The trainings of {name!r} must have equal numbers of epochs. "
            f"Received: {lengths}"
        )
    return np.stack(runs)


def _title(metric):
    held_out = metric.startswith("val_")
    name = metric.removeprefix("val_").replace("_", " ")
    return f"validation {name}" if held_out else f"training {name}"
