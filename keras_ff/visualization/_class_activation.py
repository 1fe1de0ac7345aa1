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


def class_activation(
    model: keras.Model,
    layer: str | keras.layers.Layer,
    image: Tensor,
    class_names: Sequence[str] | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draws how active the channels of each class are for one image.

    One bar a channel: its activity, pooled over its map as the goodness of
    the layer is. Channels are sorted by the class that they are assigned to,
    so that every class is a block of bars. The layer's prediction, the class
    of the largest goodness, is red, if a channel is assigned to it: goodness
    adds up the shares of all channels.

    Args:
        model: a `keras_ff.models.ForwardOnlyModel`.
        layer: one of its local layers, or its name. It must have an
            assignment of channels to classes (`CAWConv2D`, `CAWDense`).
        image: array, one sample as the model takes it, without a batch axis.
        class_names: list of strings. Defaults to the classes' numbers.
        ax: matplotlib axes. Defaults to those of a new figure.

    Returns:
        The matplotlib axes.

    Raises:
        ValueError: if the layer is not one of the model, the image is of
            another shape than the model's input, or a name is missing.
        TypeError: if the layer has no assignment.
        ImportError: if matplotlib is not installed.

    Example:

    ```python
    keras_ff.visualization.class_activation(
        model, model.local_layers[-1], x_test[0]
    )
    ```

    Reference:

    - [Ghader et al., 2026](https://arxiv.org/abs/2606.09928), Eq. 7
    """
    found = _local_layer(model, layer)
    shares = as_shares(found)
    num_channels, num_classes = shares.shape
    class_names = class_names_or_numbers(class_names, num_classes)
    activity = _activity(model, found, image)
    predicted = int(np.argmax(activity @ shares))
    order = channel_order(shares)
    classes = shares.argmax(axis=1)[order]

    ax = style.get_axes(ax)
    blue, vermilion, sky = (style.OKABE_ITO[i] for i in (0, 1, 5))
    # Neighbors differ, whatever class has no channel.
    present, block = np.unique(classes, return_inverse=True)
    colors = np.where(block % 2, sky, blue)
    colors[classes == predicted] = vermilion
    ax.bar(
        np.arange(num_channels), activity[order], width=1.0, color=list(colors)
    )
    ax.set_xlim(-0.5, num_channels - 0.5)
    centers = [np.flatnonzero(classes == k).mean() for k in present]
    style.decorate(
        ax,
        "channels, sorted by the class that each is assigned to",
        "pooled activity (arbitrary units)",
    )
    style.name_axis(ax.xaxis, [class_names[k] for k in present], centers)
    ax.tick_params(axis="x", length=0)
    style.horizontal_grid(ax)
    ax.text(
        1.0,
        1.01,
        f"predicted by {found.name}: {class_names[predicted]}",
        color=vermilion,
        fontsize=style.TEXT_SIZE,
        horizontalalignment="right",
        verticalalignment="bottom",
        transform=ax.transAxes,
    )
    return ax


def _local_layer(model, layer):
    local_layers = getattr(model, "local_layers", None)
    if local_layers is None:
        raise TypeError(
            "`model` must be a keras_ff.models.ForwardOnlyModel. Received: "
            f"{model!r} of type {type(model).__name__}"
        )
    for found in local_layers:
        if found is layer or found.name == layer:
            return found
    raise ValueError(
        f"`layer` must be one of {[x.name for x in local_layers]} or the "
        f"layer itself. Received: layer={layer!r}"
    )


def _activity(model, layer, image):
    """The pooled activity of a layer's channels for one sample (NumPy)."""
    image = np.asarray(keras.ops.convert_to_numpy(image))
    if image.shape != tuple(model.input_shape[1:]):
        raise ValueError(
            "`image` must be one sample of shape "
            f"{tuple(model.input_shape[1:])}, without a batch axis. "
            f"Received: shape {image.shape}"
        )
    before = keras.Model(model.input, layer.input)
    activation = layer.activate(before(image[None], training=False))
    return keras.ops.convert_to_numpy(layer.head.pool(activation))[0]
