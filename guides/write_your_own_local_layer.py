"""
Title: Write your own local layer
Author: The keras_ff authors
Date created: 2026/11/21
Last modified: 2026/11/27
Description: Add a forward-only method of your own in under 40 lines.
Accelerator: None
"""

"""
## What you will learn

A local layer in `keras_ff` is three Keras layers put together: what computes
the activation, a *goodness head* that scores the classes, and a normalization
on the way to the next layer. A new method is usually a new head or a new
loss. This guide adds the goodness of CwComp (Papachristodoulou et al., AAAI
2024, [arXiv 2312.12668](https://arxiv.org/abs/2312.12668)): the mean *square*
of each class's own group of channels.

It is for anyone who knows Keras layers, and runs in under a minute on a CPU.

## Setup
"""

import os

import keras
import numpy as np
from keras import ops
from sklearn.datasets import load_digits

import keras_ff

keras.utils.set_random_seed(0)
epochs = int(os.environ.get("GUIDE_EPOCHS", 15))

"""
Real handwritten digits that ship with scikit-learn, 8 x 8 pixels.
"""

digits = load_digits()
images = digits.images[..., None].astype("float32") / 16
order = np.random.default_rng(0).permutation(len(images))
train, test = order[:1400], order[1400:]

"""
## The head

A head is an ordinary Keras layer from an activation `(batch, height, width,
channels)` to goodness `(batch, num_classes)`. `GoodnessHead` brings
`num_classes`, the shapes and the configuration; what is left is the formula.
"""


@keras.saving.register_keras_serializable(package="my_layers")
class SquaredGroups(keras_ff.layers.GoodnessHead):
    def call(self, activation):
        square = ops.mean(ops.square(activation), axis=(1, 2))
        size = square.shape[-1] // self.num_classes
        groups = ops.reshape(square, (-1, self.num_classes, size))
        return ops.mean(groups, axis=-1)


"""
## The local layer

`LocalBlock` does the rest: it stops the gradient at its input, runs the
layers, asks the head for goodness and normalises the features. Everything
inside it is trained by its own loss alone, batch normalization included.
"""


def cw_comp(filters):
    return keras_ff.layers.LocalBlock(
        [
            keras.layers.Conv2D(filters, 3, padding="same", activation="relu"),
            keras.layers.BatchNormalization(),
        ],
        goodness=SquaredGroups(10),
    )


"""
## Train it

The new layer behaves like those of the library: here it shares a network
with a CAW-Conv layer.
"""

model = keras_ff.models.ForwardOnlyModel(
    [
        keras.Input((8, 8, 1)),
        cw_comp(40),
        keras.layers.MaxPooling2D(2),
        cw_comp(80),
        keras_ff.layers.CAWConv2D(80, 3, num_classes=10, padding="same"),
    ],
    layer_metrics=True,
)
model.compile(optimizer=keras.optimizers.Adam(0.01))
model.fit(
    images[train],
    digits.target[train],
    validation_split=0.1,
    epochs=epochs,
    batch_size=64,
    verbose=2,
)
results = model.evaluate(
    images[test], digits.target[test], return_dict=True, verbose=0
)
for name, value in results.items():
    if name.endswith("accuracy"):
        print(f"test {name}: {value:.3f}")

"""
It saves and loads like any Keras model.
"""

model.save("my_model.keras")
again = keras_ff.models.load_model("my_model.keras")
np.testing.assert_allclose(
    again.predict(images[test], verbose=0),
    model.predict(images[test], verbose=0),
    rtol=1e-5,
    atol=1e-5,
)
os.remove("my_model.keras")

"""
## Write your own local objective

A layer may learn more than its goodness. A *local objective* sees the features
that the layer hands on, and the labels, and gives a loss of every sample; the
layer minimizes the loss of its goodness plus `weight` times this. Like all
else in a local layer it stays there: the layers before learn nothing from it,
`predict` does not compute it, and exported files are without it.

The library has supervised contrast (HCL-FF,
[arXiv 2605.24797](https://arxiv.org/abs/2605.24797)) and similarity matching
(Nøkland and Eidnes, [arXiv 1901.06656](https://arxiv.org/abs/1901.06656)).
One of your own is one function. This one pulls features to the center of
their class in the batch. Labels come as rows of probabilities; `present` is 0
for samples of weight zero, such as padding, which must not change the losses
of the others.
"""


@keras.saving.register_keras_serializable(package="my_layers")
class ClassCenters(keras_ff.objectives.LocalObjective):
    def sample_losses(self, projection, labels, present):
        vectors = ops.mean(projection, axis=(1, 2))
        members = labels * present[:, None]
        number = ops.maximum(ops.sum(members, axis=0), 1.0)
        totals = ops.matmul(ops.transpose(members), vectors)
        centers = totals / number[:, None]
        distance = vectors - ops.matmul(labels, centers)
        return ops.mean(ops.square(distance), axis=-1)


"""
Features that shall go through weights first, as in the library's own
objectives, get them by one line of a constructor: `self.projection =
keras.layers.Dense(64)`, or any other Keras layer. It is trained, clipped and
saved with the local layer.
"""


def with_objectives(filters):
    return keras_ff.layers.LocalBlock(
        keras.layers.Conv2D(filters, 3, padding="same", activation="relu"),
        goodness=keras_ff.layers.GoodnessProjection(10, pooling=2),
        objectives=[
            ClassCenters(weight=0.1),
            keras_ff.objectives.SupervisedContrast(units=32),
        ],
    )


model = keras_ff.models.ForwardOnlyModel(
    [
        keras.Input((8, 8, 1)),
        with_objectives(40),
        keras.layers.MaxPooling2D(2),
        with_objectives(80),
    ]
)
model.compile(optimizer=keras.optimizers.Adam(0.003))
model.fit(
    images[train],
    digits.target[train],
    epochs=epochs,
    batch_size=64,
    verbose=2,
)
accuracy = model.evaluate(images[test], digits.target[test], verbose=0)[1]
print(f"test accuracy: {accuracy:.3f}")

"""
`loss` is what the layers minimize, objectives included.

## A method of your own

A `Method` says once what a network that learns your way is made of, and how
it is trained: head, objectives, dropout, loss, contribution, clipping,
optimizer. What
it does not say is as in the base class; a layer that is more than a
convolution, ReLU and dropout with this head is its function `conv`. It
goes wherever a method is chosen: into the ready networks, into
`ForwardOnlyHyperModel(..., methods=["caw", SquaredMethod()])`, and into the
papers' recipes, `python examples/reproduce.py squared-tiny_cnn-cifar10
--method my_file.py:SquaredMethod --output runs/squared`.
"""


class SquaredMethod(keras_ff.methods.Method):
    name = "squared"
    head = SquaredGroups
    learning_rate = (0.01, 0.001)

    # Its arguments are layer options.
    def objectives(self, pull=0.1):
        return [ClassCenters(pull)]


method = SquaredMethod()
model = keras_ff.applications.tiny_cnn(
    (8, 8, 1), 10, method=method, width_multiplier=0.1
)
model.compile(optimizer=method.optimizer(), loss=method.loss())
model.fit(images[train], digits.target[train], epochs=1, verbose=2)

"""
## Where to go from here

- Another *loss*: any `keras.losses.Loss` on logits, given to `compile`, is
  the loss of every layer's goodness. A subclass of `keras.losses.Loss` with
  one method, `call(labels, goodness)`, adds a new one.
- Another *way to combine layers*: subclass
  `keras_ff.contributions.Contribution`.
- A layer with a constructor of its own: subclass
  `keras_ff.layers.LocalLayer` and set `layers`, `head` and
  `normalization`.
"""
