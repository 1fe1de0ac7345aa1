from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from keras_ff.visualization import style
from keras_ff.visualization.names import layer_names_or_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def early_exits(
    layers_needed: Any,
    names: Sequence[str] | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draws how many samples needed how many local layers.

    Args:
        layers_needed: int array `(samples,)`, the number of local layers that
            each sample was computed through, at least 1; or what
            `predict_early_exit` returned.
        names: list of strings, all local layers from first to last. Defaults
            to their numbers, up to the largest of `layers_needed`.
        ax: matplotlib axes. Defaults to those of a new figure.

    Returns:
        The matplotlib axes.

    Raises:
        ValueError: if there is no sample, or a number is not a whole one from
            1 to the number of layers.
        ImportError: if matplotlib is not installed.

    Example:

    ```python
    keras_ff.visualization.early_exits(
        model.predict_early_exit(x_test, threshold),
        [layer.name for layer in model.local_layers],
    )
    ```
    """
    needed = np.asarray(getattr(layers_needed, "layers_used", layers_needed))
    if needed.ndim != 1 or not needed.size:
        raise ValueError(
            "`layers_needed` must be one number a sample, of at least one "
            f"sample. Received: shape {needed.shape}"
        )
    most = "" if names is None else f" to {len(names)}"
    limit = np.inf if names is None else len(names)
    wrong = needed[~((needed >= 1) & (needed <= limit) & (needed % 1 == 0))]
    if len(wrong):
        raise ValueError(
            f"`layers_needed` must be whole numbers from 1{most}, the number "
            f"of local layers. Received: {wrong[0]}"
        )
    num_layers = int(needed.max()) if names is None else len(names)
    names = layer_names_or_numbers(names, num_layers)
    shares = np.bincount(needed.astype(int) - 1, minlength=num_layers)
    shares = shares / len(needed)

    ax = style.get_axes(ax)
    places = np.arange(num_layers)
    ax.bar(places, shares, color=style.OKABE_ITO[0], width=0.8)
    ax.set_xlim(-0.6, num_layers - 0.4)
    ax.set_ylim(0, 1.12 * shares.max())
    style.name_axis(ax.xaxis, names)
    style.decorate(ax, "last local layer that was computed", "samples")
    style.horizontal_grid(ax)
    style.percent_axis(ax.yaxis)
    style.number_points(ax, places, shares)
    ax.text(
        1.0,
        1.01,
        f"mean: {needed.mean():.2f} of {num_layers} layers",
        color=style.INK,
        fontsize=style.TEXT_SIZE,
        horizontalalignment="right",
        verticalalignment="bottom",
        transform=ax.transAxes,
    )
    return ax
