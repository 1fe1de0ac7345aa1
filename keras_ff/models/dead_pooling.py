import keras

from keras_ff import keras_private
from keras_ff.layers import LocalLayer

_AVERAGES = (
    keras.layers.GlobalAveragePooling1D,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalAveragePooling3D,
)
_AVERAGES_OF_WINDOWS = (
    keras.layers.AveragePooling1D,
    keras.layers.AveragePooling2D,
    keras.layers.AveragePooling3D,
    keras.layers.AdaptiveAveragePooling1D,
    keras.layers.AdaptiveAveragePooling2D,
    keras.layers.AdaptiveAveragePooling3D,
)
# What a map goes through with the mean of every channel still zero.
_KEEPS_MEAN = (
    keras.layers.Add,
    keras.layers.Average,
    keras.layers.Concatenate,
    keras.layers.Dropout,
    keras.layers.Identity,
    keras.layers.RandomFlip,
    keras.layers.Subtract,
    keras.layers.ZeroPadding1D,
    keras.layers.ZeroPadding2D,
    keras.layers.ZeroPadding3D,
)


def check_pooling(nodes):
    """Raises where a map is averaged whose channels have mean zero.

    A normalization of every channel over its map leaves nothing of it but
    rounding errors: all that comes after would learn from those.

    Args:
        nodes: the nodes of a graph, in the order in which they run.
    """
    _follow(nodes, {})


def _follow(nodes, centered):
    """Notes which tensors are maps of channels with mean zero, and whose."""
    for node in nodes:
        owners = [centered.get(id(x)) for x in node.input_tensors]
        owner = owners[0] if owners and all(owners) else None
        if node.input_tensors:
            shape = tuple(node.input_tensors[0].shape)
            owner = _after(node.operation, owner, shape)
        if owner:
            centered[id(node.outputs[0])] = owner


def _after(layer, owner, shape):
    """The local layer whose centered map is left after a layer, or `None`."""
    if owner and isinstance(layer, (LocalLayer, keras.Sequential)):
        for part in layer.layers:
            owner = _after(part, owner, shape)
            output = part.compute_output_spec(keras.KerasTensor(shape))
            # Nothing pools several outputs.
            shape = getattr(output, "shape", None)
        if not isinstance(layer, LocalLayer):
            return owner
    if isinstance(layer, LocalLayer):
        normalization = layer.normalization
        if getattr(normalization, "centers_channels", False):
            return layer
        return owner if normalization is None else None
    if owner and keras_private.is_functional(layer):
        centered = {id(x): owner for x in layer.inputs}
        nodes = keras_private.nodes(layer)
        _follow([node for node in nodes if not node.is_input], centered)
        return centered.get(id(layer.outputs[0]))
    if owner and _averages_all(layer, shape):
        raise ValueError(
            f"'{layer.name}' averages the map of local layer '{owner.name}', "
            "whose normalization makes the mean of every channel zero: "
            f"nothing is left. Give '{owner.name}' another normalization "
            "('layer', 'rms' or None), or pool with Flatten or "
            "GlobalMaxPooling2D."
        )
    return owner if isinstance(layer, _KEEPS_MEAN) else None


def _averages_all(layer, shape):
    """Whether a layer makes one average of a whole map."""
    if isinstance(layer, _AVERAGES):
        return True
    if not isinstance(layer, _AVERAGES_OF_WINDOWS):
        return False
    first = 2 if layer.data_format == "channels_first" else 1
    axes = slice(first, first + len(shape) - 2)
    size = shape[axes]
    left = tuple(layer.compute_output_shape(shape))[axes]
    # A window larger than the map averages more than the map.
    window = tuple(getattr(layer, "pool_size", size))
    return None not in size and window == size and {*left} == {1}
