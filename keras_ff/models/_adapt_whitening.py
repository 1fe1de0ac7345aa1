import itertools

import keras
from keras import ops

from keras_ff import keras_private
from keras_ff.layers import Whitening2D
from keras_ff.layers.whitening2d import image_batches
from keras_ff.type_aliases import Data

# More images change nothing.
IMAGES = 5000
BATCH_SIZE = 250


def adapt_whitening(model: keras.Model, data: Data) -> None:
    """Takes a model's fixed whitening from training images, without labels.

    Every `keras_ff.layers.Whitening2D` of the model sees the first 5,000
    images, as the layers before it (`preprocessing`) leave them. To be done
    once, before training; the filters are saved with the weights.

    Args:
        model: a functional Keras model, a `ForwardOnlyModel` for instance.
        data: images, an array or tensor, or batches of them (a
            `tf.data.Dataset`, a `keras.utils.PyDataset` or any other
            iterable; of tuples, the first entry).

    Raises:
        ValueError: if the model has no whitening or more than one input, or
            the images are too few or of another shape.
        TypeError: if the model is not functional, or `data` are neither
            images nor batches.

    Example:

    ```python
    model = keras_ff.applications.whitened_cnn((32, 32, 3), 10)
    keras_ff.models.adapt_whitening(model, x_train)
    ```
    """
    _check(model)
    (inputs,) = model.inputs
    # A sequence has no nodes of its own.
    for node in keras_private.nodes(keras.Model(inputs, model.outputs)):
        if isinstance(node.operation, Whitening2D):
            (given,) = node.input_tensors
            before = keras.Model(inputs, given)
            node.operation.adapt(
                ops.convert_to_numpy(before(images, training=False))
                for images in _first(data, tuple(inputs.shape))
            )


def _check(model):
    """Raises if a model has no whitening that can be adapted."""
    if not isinstance(model, keras.Model) or not hasattr(model, "inputs"):
        raise TypeError(
            "`model` must be a functional or a built sequential Keras model. "
            f"Received: {model!r} of type {type(model).__name__}"
        )
    found = [x for x in model.layers if isinstance(x, Whitening2D)]
    inside = [
        x.name
        for x in keras_private.all_layers(model)
        if isinstance(x, Whitening2D) and x not in found
    ]
    if inside:
        raise ValueError(
            f"The layers {inside} are within other layers, where what they "
            "get is not known. Put them into the model itself, or call their "
            "own `adapt(images)`."
        )
    if not found:
        raise ValueError(
            "No layer of the model is a Whitening2D: there is nothing to "
            f"adapt. Received: {[type(x).__name__ for x in model.layers]}"
        )
    if len(model.inputs) != 1:
        raise ValueError(
            "`model` must have one input, images. Received: "
            f"{len(model.inputs)} inputs"
        )


def _first(data, shape):
    """Batches of the first images."""
    left = IMAGES
    for images in image_batches(data, BATCH_SIZE):
        sizes = itertools.zip_longest(shape[1:], images.shape[1:], fillvalue=0)
        if any(size not in (None, found) for size, found in sizes):
            raise ValueError(
                f"The model takes images of shape {shape[1:]}. Received: "
                f"batches of shape {images.shape}"
            )
        images = images[:left]
        yield images
        left -= len(images)
        if not left:
            return
