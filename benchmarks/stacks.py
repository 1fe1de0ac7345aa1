import keras

import keras_ff
from keras_ff.layers.normalization import get_normalization

NUM_CLASSES = 10
SIZE = 32


def local_stack(kind, depth, width):
    """A compiled `ForwardOnlyModel` of `depth` 3x3 convolutions.

    The input has as many channels as every layer, so that all convolutions
    cost the same.
    """
    layers = [_LOCAL[kind](width) for _ in range(depth)]
    inputs = keras.Input(_image_shape(width))
    return _compile(keras_ff.models.ForwardOnlyModel([inputs, *layers]))


def backprop_stack(kind, depth, width):
    """The same layers as one `keras.Model` with a pooled linear head."""
    x = inputs = keras.Input(_image_shape(width))
    for _ in range(depth):
        x = _conv(width)(x)
        if kind == "published":
            x = keras.layers.Dropout(0.1)(x)
            x = get_normalization("instance", NUM_CLASSES, x.dtype)(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    outputs = keras.layers.Dense(NUM_CLASSES, use_bias=False)(x)
    return _compile(keras.Model(inputs, outputs))


STACKS = {"local": local_stack, "backprop": backprop_stack}


def random_batch(batch_size, width, seed=0):
    """Images and labels with nothing to learn (NumPy)."""
    rng = keras.random.SeedGenerator(seed)
    x = keras.random.normal((batch_size, *_image_shape(width)), seed=rng)
    y = keras.random.randint((batch_size,), 0, NUM_CLASSES, seed=rng)
    return keras.ops.convert_to_numpy(x), keras.ops.convert_to_numpy(y)


def product_flops(batch_size, width):
    """Operations of one of a convolution's three matrix products."""
    return 2 * batch_size * SIZE * SIZE * 9 * width * width


def count_products(method, depth):
    """Matrix products of a step through `depth` convolutions.

    Both methods need the output and the gradient of the kernel of every
    layer. Backpropagation also needs the gradient of every input but the
    first.
    """
    return 2 * depth if method == "local" else 3 * depth - 1


def _channels_first():
    return keras.config.image_data_format() == "channels_first"


def _image_shape(width):
    if _channels_first():
        return (width, SIZE, SIZE)
    return (SIZE, SIZE, width)


def _conv(width):
    return keras.layers.Conv2D(
        width, 3, padding="same", activation="relu", use_bias=False
    )


_LOCAL = {
    "bare": lambda width: keras_ff.layers.LocalBlock(
        _conv(width), keras_ff.layers.GoodnessProjection(NUM_CLASSES)
    ),
    "published": lambda width: keras_ff.layers.CAWConv2D(
        width, 3, num_classes=NUM_CLASSES, padding="same"
    ),
}


def _compile(model):
    model.compile(
        optimizer=keras.optimizers.SGD(1e-3),
        loss=keras_ff.losses.LocalCrossentropy(),
        metrics=["accuracy"],
    )
    return model
