from collections.abc import Sequence
from typing import TYPE_CHECKING

import keras
import numpy as np

from keras_ff.type_aliases import Tensor
from keras_ff.visualization import style
from keras_ff.visualization.channel_order import channel_order
from keras_ff.visualization.names import class_names_or_numbers
from keras_ff.visualization.shares import as_shares

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def assignment(
    shares: Tensor | keras.layers.Layer,
    ax: "Axes | None" = None,
    order: Sequence[int] | None = None,
    class_names: Sequence[str] | None = None,
    colorbar: bool = True,
    vmax: float = 1.0,
) -> "Axes":
    """Draws the share of every channel in every class as a heat map.

    Args:
        shares: array `(channels, classes)` whose rows sum to 1, as `shares()`
            of a `ChannelClassAssignment` gives, or a layer that has one
            (`CAWConv2D`, `CAWDense`).
        ax: matplotlib axes. Defaults to those of a new figure.
        order: channels' numbers from top to bottom. Defaults to
            that of their dominant classes, strongest first in each. Give
            two pictures the same order to compare them.
        class_names: list of strings. Defaults to the classes' numbers.
        colorbar: bool, whether to draw the color scale. Defaults to `True`.
        vmax: float in (0, 1], the end of the color scale, which starts at 0.
            Defaults to `1.0`; less shows small shares more clearly.

    Returns:
        The matplotlib axes.

    Raises:
        ValueError: if `shares` are no shares or of a layer not built, or if
            another argument does not fit them.
        TypeError: if it is a layer without an assignment.
        ImportError: if matplotlib is not installed.

    Example:

    ```python
    keras_ff.visualization.assignment(model.local_layers[0])
    ```
    """
    shares = as_shares(shares)
    num_channels, num_classes = shares.shape
    rows = channel_order(shares) if order is None else np.asarray(order)
    if sorted(rows.ravel().tolist()) != list(range(num_channels)):
        raise ValueError(
            f"`order` must hold every channel from 0 to {num_channels - 1} "
            f"once. Received: order={rows.tolist()}"
        )
    class_names = class_names_or_numbers(class_names, num_classes)
    if not 0 < vmax <= 1:
        raise ValueError(f"`vmax` must be in (0, 1]. Received: vmax={vmax}")

    ax = style.get_axes(ax)
    image = ax.imshow(
        shares[rows],
        cmap="cividis",
        vmin=0,
        vmax=vmax,
        aspect="auto",
        interpolation="nearest",
    )
    style.decorate(ax, "class", "channel, sorted by its class")
    style.name_axis(ax.xaxis, class_names)
    ax.set_yticks([])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    if colorbar:
        style.color_scale(ax, image, "share of the channel")
    return ax
