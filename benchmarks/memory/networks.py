"""The networks whose memory is measured, without their classification top."""

import keras

NUM_CLASSES = 10
TOKENS = 1000
LENGTH = 256


def resnet50(size):
    return keras.applications.ResNet50(
        include_top=False, weights=None, input_shape=(size, size, 3)
    )


def mobilenet_v2(size):
    return keras.applications.MobileNetV2(
        include_top=False, weights=None, input_shape=(size, size, 3)
    )


def transformer(size):
    """Eight blocks of width 128 on 256 tokens; `size` does not matter."""
    inputs = keras.Input((LENGTH,), dtype="int32")
    x = keras.layers.Embedding(TOKENS, 128)(inputs)
    for i in range(8):
        y = keras.layers.LayerNormalization()(x)
        y = keras.layers.MultiHeadAttention(4, 32)(y, y)
        x = keras.layers.Add(name=f"attention_{i}_out")([x, y])
        y = keras.layers.LayerNormalization()(x)
        y = keras.layers.Dense(512, activation="gelu")(y)
        y = keras.layers.Dense(128)(y)
        x = keras.layers.Add(name=f"block_{i}_out")([x, y])
    return keras.Model(inputs, x, name="transformer")


NETWORKS = {
    "resnet50": resnet50,
    "mobilenet_v2": mobilenet_v2,
    "transformer": transformer,
}


def random_batch(model, batch_size, seed=0):
    """Inputs of a model, and labels, with nothing to learn (NumPy)."""
    rng = keras.random.SeedGenerator(seed)
    shape = (batch_size, *model.input_shape[1:])
    if model.input.dtype == "int32":
        x = keras.random.randint(shape, 0, TOKENS, seed=rng)
    else:
        x = keras.random.normal(shape, seed=rng)
    y = keras.random.randint((batch_size,), 0, NUM_CLASSES, seed=rng)
    return keras.ops.convert_to_numpy(x), keras.ops.convert_to_numpy(y)
