"""
Title: Memory and speed, measured against backpropagation
Author: The keras_ff authors
Date created: 2026/11/22
Last modified: 2026/11/22
Description: What a local step saves, and how to measure it on your machine.
Accelerator: None
"""

"""
## What you will learn

Backpropagation keeps the activations of all layers until the backward pass
reaches them, and computes three matrix products a layer: the output, the
gradient of the kernel and the gradient of the input. A local layer needs the
first two, and its activations may go as soon as it has learned.

This guide measures both claims on your own machine and backend. It is for
engineers with little memory, and for anyone who does not believe the figures
of others. It takes about two minutes on a CPU, and runs in a checkout of the
project, whose `benchmarks.measure` knows how each backend tells its memory.

## Two stacks of the same convolutions
"""

import os
import statistics
import time

# TensorFlow counts the memory of a CPU only if told to before its import.
os.environ.setdefault("TF_CPU_ALLOCATOR_USE_BFC", "true")

import keras
import numpy as np

import keras_ff
from benchmarks.measure.in_turn import in_turn
from benchmarks.measure.memory import peak_memory

keras.utils.set_random_seed(0)
short = "GUIDE_EPOCHS" in os.environ
depths = (2, 4) if short else (4, 8, 16, 32)
repeats = 2 if short else 7


def convolution():
    return keras.layers.Conv2D(
        32, 3, padding="same", activation="relu", use_bias=False
    )


def local(depth):
    """Every convolution with a head and a loss of its own."""
    return keras_ff.models.ForwardOnlyModel(
        [keras.Input((32, 32, 32))]
        + [
            keras_ff.layers.LocalBlock(
                [convolution()], keras_ff.layers.GoodnessProjection(10)
            )
            for _ in range(depth)
        ]
    )


def end_to_end(depth):
    """One pooled linear head, trained by backpropagation."""
    return keras.Sequential(
        [keras.Input((32, 32, 32))]
        + [convolution() for _ in range(depth)]
        + [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(10)]
    )


def compiled(model):
    model.compile(
        optimizer=keras.optimizers.SGD(1e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return model


rng = np.random.default_rng(0)
x = rng.normal(size=(32, 32, 32, 32)).astype("float32")
y = rng.integers(0, 10, 32)

"""
## Memory against depth

The peak of a training step, without weights and the optimizer's state.
"""


def mebibytes(make, depth):
    keras.utils.clear_session()
    model = compiled(make(depth))
    model.train_on_batch(x, y)
    return peak_memory(model, x, y).bytes / 2**20


print("layers   local (MiB)   backpropagation (MiB)")
for depth in depths:
    values = [mebibytes(make, depth) for make in (local, end_to_end)]
    print(f"{depth:6}{values[0]:14.1f}{values[1]:24.1f}")

"""
On two cores of an AMD EPYC processor, in MiB, local / backpropagation:

| layers | JAX | TensorFlow | PyTorch |
|---|---|---|---|
| 4 | 24 / 40 | 16 / 24 | 20 / 40 |
| 8 | 24 / 72 | 12 / 40 | 20 / 72 |
| 16 | 24 / 136 | 17 / 80 | 21 / 137 |
| 32 | 25 / 265 | 17 / 136 | 21 / 265 |

The local step needs the same for 4 layers as for 32. Each backend counts in
its own way, so compare columns of one backend only.

## Time of a step

Both are visited in turn, so that they see the same disturbances, and the
first visits, which compile, do not count. Through L layers the local step has
2 L products and backpropagation 3 L - 1 (the first layer's input needs no
gradient), so for L = 8 the ratio cannot fall below 16 / 23 = 0.70 by skipping
products alone.
"""

models = {
    "local": compiled(local(depths[1])),
    "backpropagation": compiled(end_to_end(depths[1])),
}


def step_seconds(model):
    model.train_on_batch(x, y)
    start = time.perf_counter()
    for _ in range(2):
        model.train_on_batch(x, y)
    return (time.perf_counter() - start) / 2


seconds = in_turn(step_seconds, models, repeats)
medians = {name: statistics.median(v) for name, v in seconds.items()}
for name, value in medians.items():
    print(f"{name}: {1e3 * value:.0f} ms a step")
print(f"ratio: {medians['local'] / medians['backpropagation']:.2f}")

"""
There, the ratio was 0.64 on JAX, 0.89 on TensorFlow and 0.92 on PyTorch. It
can fall below the limit where backpropagation is slowed down by the memory
that it needs.

## What to remember

- Memory is flat in depth: what a step needs is what its largest layer needs.
  What is saved can go into wider layers, larger batches or a deeper network.
- Time falls by at most a third, and by less where layers are small: every
  local layer has a head and a loss of its own, which are many small
  operations.
- `make bench` measures the same more carefully, on all backends, and
  `python -m benchmarks.training_rate` a published network on a GPU.
"""
