from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_ff.type_aliases import Tensor
from keras_ff.visualization import style
from keras_ff.visualization.names import layer_names_or_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def contributions(
    weights_per_epoch: Tensor,
    names: Sequence[str] | None = None,
    kind: str = "area",
    first_epoch: int = 1,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draws how much each layer counts in the prediction, over the epochs.

    Args:
        weights_per_epoch: array of shape `(epochs, layers)`, for instance
            `model.contribution.weights` after every epoch.
        names: list of strings, the layers from first to last. Defaults to
            their numbers from 1.
        kind: `"area"` (stacked, for weights that are not negative) or
            `"line"`. Defaults to `"area"`.
        first_epoch: int, the number of the first epoch. Defaults to `1`.
        ax: matplotlib axes. Defaults to those of a new figure.

    Returns:
        The matplotlib axes.

    Raises:
        ValueError: if the shape is wrong, a weight is not finite, or an
            argument does not fit.
        ImportError: if matplotlib is not installed.

    Example:

    ```python
    weights = []
    record = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: weights.append(
            model.contribution.weights
        )
    )
    model.fit(
        train, validation_data=validation, epochs=10, callbacks=[record]
    )
    keras_ff.visualization.contributions(weights)
    ```
    """
    weights = np.asarray(weights_per_epoch, "float64")
    if weights.shape == (0,):
        raise ValueError(
            "`weights_per_epoch` has no epoch: the contributions were never "
            "recorded. Read `model.contribution.weights` after every epoch "
            "of training. Received: an empty list"
        )
    if weights.ndim != 2 or not weights.size:
        raise ValueError(
            "`weights_per_epoch` must have the shape (epochs, layers), at "
            "least one of each; `model.contribution.weights` is one epoch's. "
            f"Received: shape {weights.shape}"
        )
    if kind not in ("area", "line"):
        raise ValueError(
            f"`kind` must be 'area' or 'line'. Received: kind={kind!r}"
        )
    if not np.isfinite(weights).all():
        raise ValueError("Weights must be finite. Received: NaN or infinity")
    if kind == "area" and weights.min() < 0:
        raise ValueError(
            "Negative weights cannot be stacked; use kind='line'. "
            f"Received: {weights.min()}"
        )
    num_epochs, num_layers = weights.shape
    names = layer_names_or_numbers(names, num_layers)

    ax = style.get_axes(ax)
    colors = style.sequential(num_layers)
    epochs = first_epoch + np.arange(num_epochs)
    if num_epochs == 1:
        # As long as the axis, around the only epoch.
        weights = np.repeat(weights, 2, axis=0)
        epochs = [first_epoch - 0.5, first_epoch + 0.5]
    if kind == "area":
        ax.stackplot(
            epochs,
            weights.T,
            colors=colors,
            labels=names,
            edgecolor="white",
            linewidth=1.0,
        )
        ax.set_ylim(0, weights.sum(axis=1).max())
        heights = np.cumsum(weights[-1]) - weights[-1] / 2
    else:
        for values, name, color in zip(weights.T, names, colors):
            ax.plot(epochs, values, color=color, linewidth=2.2, label=name)
        style.horizontal_grid(ax)
        heights = weights[-1]
    style.decorate(ax, "epoch", "weight in the prediction")
    style.epoch_axis(ax, num_epochs, first_epoch)
    style.label_right(
        ax,
        list(heights),
        [f"{name}: {weight:.2f}" for name, weight in zip(names, weights[-1])],
        [style.INK] * num_layers if kind == "area" else colors,
    )
    return ax
