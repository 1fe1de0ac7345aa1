import keras
from keras import tree

from keras_ff.keras_private import mask_of
from keras_ff.layers.masks import with_mask


def symbols(shapes, dtype):
    """Symbolic tensors of these shapes, a shape or a structure of them."""
    return tree.map_shape_structure(
        lambda shape: keras.KerasTensor(shape, dtype), shapes
    )


def without_history(inputs):
    """Symbolic tensors like these, with masks, that no graph knows."""
    return tree.map_structure(_without_history, inputs)


def trace(layers, inputs):
    """Calls layers one after another on symbolic tensors; builds them.

    As `keras.Sequential` does: a layer need not know the shape of its output.
    """
    for layer in layers:
        inputs = layer(inputs)
    return inputs


def _without_history(x):
    mask = mask_of(x)
    if mask is not None:
        mask = keras.KerasTensor(mask.shape, mask.dtype)
    return with_mask(keras.KerasTensor(x.shape, x.dtype), mask)
