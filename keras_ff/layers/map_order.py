import keras
from keras import ops


def in_backend_order(operation, maps, data_format, **arguments):
    """Applies an operation to maps in the axis order the backend computes in.

    PyTorch counts channels first, and may keep them last in memory. Keras
    copies maps into another order around each of its operations; looking at
    the same memory in another order costs nothing.

    Args:
        operation: one of `keras.ops`, called with maps, `data_format` and
            `arguments`; returns maps.
        maps: tensor, copied as Keras does unless it has two spatial axes.
        data_format: that of `maps`, and of what is returned.
        **arguments: further arguments of the operation.
    """
    if (
        keras.backend.backend() != "torch"
        or data_format == "channels_first"
        or len(maps.shape) != 4
    ):
        return operation(maps, data_format=data_format, **arguments)
    maps = ops.transpose(maps, (0, 3, 1, 2))
    maps = operation(maps, data_format="channels_first", **arguments)
    return ops.transpose(maps, (0, 2, 3, 1))
