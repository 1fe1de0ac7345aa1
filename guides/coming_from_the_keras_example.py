"""
Title: Coming from Keras's Forward-Forward example
Author: The keras_ff authors
Date created: 2026/11/28
Last modified: 2026/11/28
Description: The example's idea in NumPy, and the same training with keras_ff.
Accelerator: None
"""

"""
## What the example does

The Forward-Forward example on keras.io trains dense layers on MNIST, with
TensorFlow. The label is drawn over the first pixels. A layer learns to be
active for images with their own label and quiet for those with another one,
each with an optimizer of its own, and a prediction tries all ten labels.

Below is that idea with NumPy, then with `keras_ff`, on digits of 8 x 8 pixels,
in seconds.
"""

import os

import keras
import numpy as np
from sklearn.datasets import load_digits

import keras_ff

epochs = int(os.environ.get("GUIDE_EPOCHS", 40))
rng = np.random.default_rng(0)
keras.utils.set_random_seed(0)

images, labels = load_digits(return_X_y=True)
images = (images / 16).astype("float32")
x_train, y_train = images[:1400], labels[:1400]
x_test, y_test = images[1400:], labels[1400:]

"""
## The idea by hand

The goodness of a layer is the mean of its squared activities. Only the
direction of an activation goes on: its length is the goodness of the layer
before. A step follows the gradient of a logistic loss, which for one layer of
units with `relu` fits in two lines.
"""


def with_label(x, y):
    x = x.copy()
    x[:, :10] = np.eye(10)[y]
    return x


class Layer:
    threshold = 1.5

    def __init__(self, inputs, units):
        self.kernel = rng.normal(0, 1, (inputs, units))

    def __call__(self, x):
        x = x / (np.linalg.norm(x, axis=1, keepdims=True) + 1e-6)
        return x, np.maximum(x @ self.kernel, 0)

    def learn(self, x, sign, rate=2.0):
        x, h = self(x)
        goodness = np.mean(h**2, axis=1) - self.threshold
        push = sign / (1 + np.exp(sign * goodness))
        self.kernel += rate * x.T @ (push[:, None] * h) / len(x)


layers = [Layer(64, 200), Layer(200, 200)]
for _ in range(epochs):
    order = rng.permutation(len(x_train))
    for batch in np.split(order, 14):
        right = y_train[batch]
        wrong = (right + rng.integers(1, 10, len(batch))) % 10
        positive = with_label(x_train[batch], right)
        negative = with_label(x_train[batch], wrong)
        for layer in layers:
            layer.learn(positive, +1)
            layer.learn(negative, -1)
            positive, negative = layer(positive)[1], layer(negative)[1]


def goodness(x, label):
    x, total = with_label(x, np.full(len(x), label)), 0
    for layer in layers:
        x = layer(x)[1]
        total = total + np.mean(x**2, axis=1)
    return total


scores = np.stack([goodness(x_test, label) for label in range(10)], axis=1)
print(f"by hand: {np.mean(scores.argmax(axis=1) == y_test):.1%}")

"""
## The same with keras_ff

`ForwardForwardModel` draws the labels, finds the negatives, trains every layer
by its own loss and tries all labels to predict. `fit`, `evaluate` and
`predict` are those of Keras, on TensorFlow, JAX and PyTorch; one optimizer is
given, and every layer has its own state of it.
"""

model = keras_ff.models.ForwardForwardModel(
    [
        keras.Input((64,)),
        keras_ff.layers.FFDense(200),
        keras_ff.layers.FFDense(200),
    ],
    num_classes=10,
    # Layers of two only: both count.
    contribution=keras_ff.contributions.Uniform(),
)
model.compile(keras.optimizers.Adam(3e-3))
model.fit(x_train, y_train, batch_size=100, epochs=epochs, verbose=0)
results = model.evaluate(x_test, y_test, return_dict=True, verbose=0)
print(f"Forward-Forward: {results['accuracy']:.1%}")

"""
## One pass, not ten

What came after Forward-Forward scores all classes at once: no label in the
image, no negatives, and layers of any kind. The model is another, the rest of
the program stays.
"""

model = keras_ff.models.ForwardOnlyModel(
    [
        keras.Input((64,)),
        keras_ff.layers.PrototypeDense(200, num_classes=10),
        keras_ff.layers.PrototypeDense(200, num_classes=10),
    ]
)
model.compile(
    keras.optimizers.Adam(3e-3), loss=keras_ff.losses.SmoothMarginLoss()
)
model.fit(x_train, y_train, batch_size=100, epochs=epochs, verbose=0)
results = model.evaluate(x_test, y_test, return_dict=True, verbose=0)
print(f"HFF: {results['accuracy']:.1%}")

"""
## What changes, what stays

| the example | here |
|---|---|
| TensorFlow | TensorFlow, JAX or PyTorch |
| an optimizer made in every layer | one in `compile`, a state of it a layer |
| a loop over epochs inside every layer | all layers, batch by batch |
| negatives: labels in another order | wrong labels, the likeliest most often |
| a threshold on the mean of squares | on the sum: `FFDense(threshold=...)` |
| own accuracy code | `evaluate`, `predict`, and `layer_metrics=True` |

A pass for every label costs: ten classes take 7 to 11 times as long as HFF's
one pass, a hundred 59 to 97 times.

## When not to come

Where backpropagation fits into memory and accuracy is all that counts, it
remains the better choice. `ForwardForwardModel` is for rows of numbers and
small images with labels; the other models take images, sequences and text
too.
"""
