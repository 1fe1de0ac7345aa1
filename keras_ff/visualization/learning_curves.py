import numpy as np

from keras_ff.visualization import style
from keras_ff.visualization.logs import metric_values


def learning_curves(histories, metric="val_accuracy", ax=None):
    """Draws one metric of several trainings over the epochs.

    Args:
        histories: dictionary from a name to what `fit` returned, or to its
            `.history`.
        metric: string, the key of the metric. Defaults to `"val_accuracy"`.
        ax: matplotlib axes. Defaults to those of a new figure.

    Returns:
        The matplotlib axes.

    Raises:
        ValueError: if there is no history, or one lacks the metric.
        TypeError: if `histories` is not a dictionary of histories.
        ImportError: if matplotlib is not installed.

    Example:

    ```python
    history = model.fit(train, validation_data=validation, epochs=10)
    ax = keras_ff.visualization.learning_curves({"forward-only": history})
    ax.figure.savefig("curves.png")
    ```
    """
    if not isinstance(histories, dict):
        raise TypeError(
            "`histories` must be a dictionary from a name to a history. "
            f"Received: {histories!r} of type {type(histories).__name__}"
        )
    if not histories:
        raise ValueError("`histories` must not be empty. Received: {}")
    curves = {n: metric_values(h, metric) for n, h in histories.items()}
    ax = style.get_axes(ax)
    colors = style.qualitative(len(curves))
    for (name, values), color in zip(curves.items(), colors):
        ax.plot(
            np.arange(1, len(values) + 1),
            values,
            color=color,
            linewidth=2.2,
            label=name,
            # A single epoch would be an invisible line.
            marker="o" if len(values) == 1 else None,
        )
    style.decorate(ax, "epoch", _title(metric))
    style.horizontal_grid(ax)
    style.epoch_axis(ax, max(map(len, curves.values())))
    if "accuracy" in metric:
        style.percent_axis(ax.yaxis)
    style.label_right(
        ax, [values[-1] for values in curves.values()], curves, colors
    )
    return ax


def _title(metric):
    held_out = metric.startswith("val_")
    name = metric.removeprefix("val_").replace("_", " ")
    return f"validation {name}" if held_out else f"training {name}"
