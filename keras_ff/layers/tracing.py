import keras
from keras import tree


def symbols(shapes, dtype):
    """Symbolic tensors of these shapes, a shape or a structure of them."""
    return tree.map_shape_structure(
        lambda shape: keras.KerasTensor(shape, dtype), shapes
    )


def without_history(inputs):
    """Symbolic tensors like these that no layer's graph knows."""
    return tree.map_structure(
        lambda x: keras.KerasTensor(x.shape, x.dtype), inputs
    )


def trace(layers, inputs):
    """Calls layers one after another on symbolic tensors; builds them.

    As `keras.Sequential` does: a layer need not know the shape of its output.
    """
    for layer in layers:
        inputs = layer(inputs)
    return inputs
