"""
Title: Forward-only learning in 20 lines
Author: The keras_ff authors
Date created: 2026/11/22
Last modified: 2026/11/22
Description: Train a deep network although no gradient crosses its layers.
Accelerator: None
"""

"""
## The idea

Backpropagation trains all layers towards one goal at the end: the error is
sent back through every layer, so every layer has to wait for it, and has to
remember what it computed until the error arrives. Memory grows with depth.

Forward-only learning gives **every layer a goal of its own**. Each layer
guesses the class by itself, is corrected at once, and hands its activation
on:

    image --> [layer 1] --|--> [layer 2] --|--> [layer 3]
                  |                |                |
               guess 1          guess 2          guess 3    (class scores)
                  |                |                |
               loss 1           loss 2           loss 3

At each `|` the gradient is stopped: a layer's loss changes that layer only.
Nothing has to be remembered, nothing is sent back. The scores of a layer are
called its *goodness*, and the network predicts by adding up the goodness of
its layers.

You will build this in 20 lines of plain Keras, then with `keras_ff`, and put
it beside backpropagation, on real handwritten digits. It is for anyone who
has called `model.fit` before, and takes under a minute on a CPU.

## Setup

1797 digits of 8 x 8 pixels that ship with scikit-learn.
"""

import os

import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

import keras_ff
from keras_ff import visualization

keras.utils.set_random_seed(0)
epochs = int(os.environ.get("GUIDE_EPOCHS", 30))

digits = load_digits()
images = digits.data.astype("float32") / 16
order = np.random.default_rng(0).permutation(len(images))
train, test = order[:1400], order[1400:]
x_train, y_train = images[train], digits.target[train]
x_test, y_test = images[test], digits.target[test]

"""
## Twenty lines

Three layers of 128 units. The line that makes it forward-only is the one with
`stop_gradient`; the normalization takes away the length of the activation, so
that the next layer cannot simply repeat the guess of this one.
"""

inputs = keras.Input((64,))
features, goodness = inputs, []
for _ in range(3):
    features = keras.ops.stop_gradient(features)
    features = keras.layers.Dense(128, activation="relu")(features)
    goodness.append(keras.layers.Dense(10)(features))
    features = keras.layers.UnitNormalization()(features)

by_hand = keras.Model(inputs, goodness)
by_hand.compile(
    optimizer=keras.optimizers.Adam(3e-3),
    loss=[
        keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        for _ in range(3)
    ],
)
by_hand.fit(x_train, [y_train] * 3, batch_size=64, epochs=epochs, verbose=0)

prediction = sum(by_hand.predict(x_test, verbose=0))
print(f"by hand: {np.mean(prediction.argmax(axis=1) == y_test):.1%}")

"""
That is all there is to it: 98.5 % of the 397 test digits. But depending on the
backend it still keeps the activations of all layers until the end of the
step, its prediction has to be added up by hand, and its logs are those of a
model with three outputs.

## The same with keras_ff

A `LocalBlock` is one such layer: Keras layers, the head that gives goodness,
and the normalization. `ForwardOnlyModel` chains them, trains one after the
other and frees the memory of each before the next. It has one prediction, so
`fit`, `evaluate` and `predict` are what you know. `layer_metrics=True` logs
every layer by itself.
"""


def local_layer(name):
    return keras_ff.layers.LocalBlock(
        keras.layers.Dense(128, activation="relu"),
        goodness=keras_ff.layers.GoodnessProjection(10),
        normalization=keras.layers.UnitNormalization(),
        name=name,
    )


names = ["first", "second", "third"]
model = keras_ff.models.ForwardOnlyModel(
    [keras.Input((64,)), *[local_layer(name) for name in names]],
    layer_metrics=True,
)
model.compile(
    optimizer=keras.optimizers.Adam(3e-3),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
)
history = model.fit(
    x_train,
    y_train,
    validation_data=(x_test, y_test),
    batch_size=64,
    epochs=epochs,
    verbose=0,
)
results = model.evaluate(x_test, y_test, return_dict=True, verbose=0)
for name in names:
    print(f"layer '{name}': {results[f'{name}_accuracy']:.1%}")
print(f"forward-only: {results['accuracy']:.1%}")

"""
## Beside backpropagation

The same three layers, one loss at the end, nothing stopped.
"""

backprop = keras.Sequential(
    [
        keras.Input((64,)),
        *[keras.layers.Dense(128, activation="relu") for _ in range(3)],
        keras.layers.Dense(10),
    ]
)
backprop.compile(
    optimizer=keras.optimizers.Adam(3e-3),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
reference = backprop.fit(
    x_train,
    y_train,
    validation_data=(x_test, y_test),
    batch_size=64,
    epochs=epochs,
    verbose=0,
)
accuracy = reference.history["val_accuracy"][-1]
print(f"backpropagation: {accuracy:.1%}")

figure, axes = plt.subplots(1, 2, figsize=(13, 4.5), layout="constrained")
visualization.learning_curves(
    {"forward-only": history, "backpropagation": reference}, ax=axes[0]
)
visualization.layer_accuracy(
    names,
    [results[f"{name}_accuracy"] for name in names],
    combined=results["accuracy"],
    reference=accuracy,
    ax=axes[1],
)
figure.savefig("forward_only_learning.png", dpi=150)
print("written: forward_only_learning.png")

"""
With JAX, the forward-only network ends at 98.2 % and backpropagation at
98.5 %: one digit of 397 apart. The layers by themselves have 98.5 %, 98.2 %
and 97.7 %. Such small digits need no depth, so the later layers have nothing
to add here; on photographs they have, see `guides/caw_conv_on_cifar10.py`.

## What you gain, what you pay

- **Memory** of a training step does not grow with depth: with 64 layers
  instead of 4, backpropagation needs 13 to 20 times as much, the local step
  0.98 to 1.19 times (`python -m benchmarks`).
- Every layer **can be looked at**: it has an accuracy and a loss of its own,
  and you see at which depth a prediction is good enough.
- You pay in **accuracy** where layers would have to cooperate: a layer that
  is trained for its own guess does not learn what only a later layer could
  make use of. The methods in `keras_ff` are different answers to that.

## Where to go from here

- `guides/caw_conv_on_cifar10.py`: convolutions, and what their channels
  stand for.
- `guides/hyperspherical_prototypes.py`: classes as points on a sphere, and
  the original Forward-Forward algorithm.
- `guides/write_your_own_local_layer.py`: a method of your own.
"""
