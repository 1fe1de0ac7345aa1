import keras

from keras_ff.layers import LocalLayer

_AVERAGES = (
    keras.layers.GlobalAveragePooling1D,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalAveragePooling3D,
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
    centered = {}
    for node in nodes:
        owners = [centered.get(id(x)) for x in node.input_tensors]
        owner = owners[0] if owners and all(owners) else None
        layer = node.operation
        for part in getattr(layer, "layers", None) or [layer]:
            if owner and isinstance(part, _AVERAGES):
                raise ValueError(
                    f"'{part.name}' averages the map of local layer "
                    f"'{owner.name}', whose normalization makes the mean of "
                    "every channel zero: nothing is left. Give "
                    f"'{owner.name}' another normalization ('layer', 'rms' "
                    "or None), or pool with Flatten or GlobalMaxPooling2D."
                )
            if not isinstance(part, _KEEPS_MEAN):
                owner = None
        if isinstance(layer, LocalLayer):
            normalization = layer.normalization
            if getattr(normalization, "centers_channels", False):
                owner = layer
            elif normalization is not None:
                owner = None
        if owner:
            centered[id(node.outputs[0])] = owner
