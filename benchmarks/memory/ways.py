"""The ways to train a network whose memory is compared."""

from typing import Any
from typing import NamedTuple

import keras

import keras_ff
from benchmarks.memory.networks import NUM_CLASSES

PARTS = 4
# What blocks are planned for, about the batch that is measured.
PLANNED = 32
BLOCKS = (2, 4, 8, 16)


class Way(NamedTuple):
    """A compiled model, and in how many parts it takes a batch."""

    model: Any
    parts: int = 1


def backpropagation(make):
    return Way(_compiled(_with_head(make())))


def rematerialized(make):
    """Every layer is computed once more in the backward pass."""
    with keras.RematScope(mode="full"):
        network = make()
    return Way(_compiled(_with_head(network)))


def accumulated(make):
    """A quarter of the batch at a time; one update for all."""
    model = _with_head(make())
    return Way(_compiled(model, gradient_accumulation_steps=PARTS), PARTS)


def local(number):
    """`localize` into a number of blocks, or as many as there can be."""

    def way(make):
        model = keras_ff.models.localize(
            make(), NUM_CLASSES, number, batch_size=PLANNED
        )
        return Way(_compiled(model))

    return way


WAYS = {
    "backpropagation": backpropagation,
    "rematerialized": rematerialized,
    "accumulated": accumulated,
    **{f"local_{number}": local(number) for number in BLOCKS},
}


def _with_head(network):
    x = network.output
    if len(x.shape) == 4:
        x = keras.layers.GlobalAveragePooling2D()(x)
    else:
        x = keras.layers.GlobalAveragePooling1D()(x)
    return keras.Model(network.input, keras.layers.Dense(NUM_CLASSES)(x))


def _compiled(model, **options):
    model.compile(
        optimizer=keras.optimizers.SGD(1e-3, **options),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return model
