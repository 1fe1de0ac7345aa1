"""How often JAX devices add gradients up in a step, and what memory it takes.

    KERAS_BACKEND=jax python -m benchmarks.all_reduces [depth ...]

Networks of equal convolutions on four virtual devices, trained locally and by
backpropagation. The step is compiled and read, not timed.
"""

import os
import sys

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4"

import keras
import numpy as np

import keras_ff
from benchmarks.measure.all_reduces import all_reduces

SHAPE = (16, 16, 3)
BATCH = 64
CHANNELS = 40
CLASSES = 10


def local(depth):
    """A network whose layers learn from losses of their own."""
    layers = [
        keras_ff.layers.CAWConv2D(
            CHANNELS, 3, CLASSES, padding="same", dropout=0.0
        )
        for _ in range(depth)
    ]
    model = keras_ff.models.ForwardOnlyModel([keras.Input(SHAPE), *layers])
    model.compile(keras.optimizers.SGD(0.1))
    return model


def backpropagation(depth):
    """The same convolutions with one loss at the end."""
    layers = [
        keras.layers.Conv2D(CHANNELS, 3, padding="same", activation="relu")
        for _ in range(depth)
    ]
    head = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(CLASSES)]
    model = keras.Sequential([keras.Input(SHAPE), *layers, *head])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss)
    return model


def main(depths):
    keras.distribution.set_distribution(keras.distribution.DataParallel())
    x = np.zeros((BATCH, *SHAPE), "float32")
    y = np.zeros(BATCH, "int32")
    print("| training | layers | all-reduces | awaited forward | MB a device |")
    print("|---|---|---|---|---|")
    for make in (local, backpropagation):
        for depth in depths:
            model = make(depth)
            model.fit(x, y, batch_size=BATCH, verbose=0)
            names = [layer.name for layer in model.layers]
            found = all_reduces(model, x, y, names)
            print(
                f"| {make.__name__} | {depth} | {found.number} | "
                f"{found.waits} | {found.memory / 1e6:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main([int(depth) for depth in sys.argv[1:]] or [4, 16])
