import keras
import numpy as np
from keras import ops

from keras_ff.layers import Whitening2D

# More images change nothing.
IMAGES = 5000


def adapt_whitening(model, data):
    """Takes a model's fixed whitening from training images, without labels.

    Every `keras_ff.layers.Whitening2D` of the model sees the first 5,000
    images, as the layers before it (`preprocessing`) leave them. To be done
    once, before training; the filters are saved with the weights. A model
    without whitening is left as it is.

    Args:
        model: a functional Keras model, a `ForwardOnlyModel` for instance.
        data: images, an array or tensor, or batches of them (a
            `tf.data.Dataset`, a `keras.utils.PyDataset` or any other
            iterable; of tuples, the first entry).

    Raises:
        ValueError: if there are too few images.

    Example:

    ```python
    model = keras_ff.applications.whitened_cnn((32, 32, 3), 10)
    keras_ff.models.adapt_whitening(model, x_train)
    ```
    """
    for layer in model.layers:
        if isinstance(layer, Whitening2D):
            before = keras.Model(model.input, layer.input)
            layer.adapt(
                ops.convert_to_numpy(before(images, training=False))
                for images in _first(data)
            )


def _first(data):
    """Batches of the first images."""
    if hasattr(data, "shape"):
        array, starts = data, range(0, data.shape[0], 250)
        data = (array[start : start + 250] for start in starts)
    left = IMAGES
    for batch in data:
        images = batch[0] if isinstance(batch, (tuple, list)) else batch
        images = np.asarray(ops.convert_to_numpy(images))[:left]
        yield images
        left -= len(images)
        if not left:
            return
