"""
Title: Write your own local layer
Author: The keras_ff authors
Date created: 2026/11/21
Last modified: 2026/11/28
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
import textwrap

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
`num_classes`, the shapes and the configuration; what is left is the formula,
in float32 under mixed precision too (`score_dtype`).
"""


@keras.saving.register_keras_serializable(package="my_layers")
class SquaredGroups(keras_ff.layers.GoodnessHead):
    def call(self, activation):
        activation = ops.cast(activation, self.score_dtype)
        square = ops.mean(ops.square(activation), axis=(1, 2))
        size = square.shape[-1] // self.num_classes
        groups = ops.reshape(square, (-1, self.num_classes, size))
        return ops.mean(groups, axis=-1)


"""
## The local layer

`LocalBlock` does the rest: it stops the gradient at its input, runs the
layers, asks the head for goodness and normalizes the features. Everything
inside it is trained by its own loss alone, batch normalization included.
"""


def cw_comp(filters):
    return keras_ff.layers.LocalBlock(
        [
            keras.layers.Conv2D(
                filters, 3, padding="same", activation="relu", name="conv"
            ),
            # Few steps: the averages for prediction must follow.
            keras.layers.BatchNormalization(momentum=0.9, name="norm"),
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
## Check it

Is it a local layer, as the library's own are? One call trains a small one
beside an ordinary model, in float32 and in float16, copies, saves and loads
it, gives it one sample and samples that do not count, and raises
`keras_ff.testing.CheckFailure`, an `AssertionError`, if a promise does not
hold. It takes seconds on any backend: a line of the tests of your project.
"""

held = keras_ff.testing.check_local_layer(
    lambda: cw_comp(10), input_shape=(6, 6, 2), num_classes=10
)
print(", ".join(held))

"""
What fails is named, with what was found and how to mend it. Here the head
forgets that a copy needs its argument:
"""


@keras.saving.register_keras_serializable(package="my_layers")
class Sharpened(SquaredGroups):
    def __init__(self, num_classes, factor=1.0, **kwargs):
        super().__init__(num_classes, **kwargs)
        self.factor = factor

    def call(self, activation):
        return self.factor * super().call(activation)


try:
    keras_ff.testing.check_goodness_head(
        lambda: Sharpened(10, factor=3.0),
        input_shape=(6, 6, 10),
        num_classes=10,
    )
except keras_ff.testing.CheckFailure as failure:
    print(textwrap.fill(str(failure), 79))

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
saved with the local layer. A rule that depends on the layer's scores too has
`goodness` as a fourth argument of `sample_losses`.

A layer may have targets of its own: early layers may learn coarse classes, of
which `labels @ groups` gives the rows. Here digits with a closed loop (0, 6,
8, 9) are told from the others.
"""


@keras.saving.register_keras_serializable(package="my_layers")
class CoarseClasses(keras_ff.objectives.LocalObjective):
    def __init__(self, group_of_class, **kwargs):
        super().__init__(**kwargs)
        self.group_of_class = list(group_of_class)
        self.projection = keras.Sequential(
            [
                keras.layers.GlobalAveragePooling2D(),
                keras.layers.Dense(max(self.group_of_class) + 1, name="dense"),
            ],
            name="projection",
        )

    def sample_losses(self, projection, labels, present):
        groups = ops.one_hot(self.group_of_class, projection.shape[-1])
        return keras.losses.categorical_crossentropy(
            labels @ groups, projection, from_logits=True
        )

    def get_config(self):
        return {**super().get_config(), "group_of_class": self.group_of_class}


LOOPS = [1, 0, 0, 0, 0, 0, 1, 0, 1, 1]


def with_objectives(filters, *more):
    return keras_ff.layers.LocalBlock(
        keras.layers.Conv2D(filters, 3, padding="same", activation="relu"),
        goodness=keras_ff.layers.GoodnessProjection(10, pooling=2),
        objectives=[
            ClassCenters(weight=0.1),
            keras_ff.objectives.SupervisedContrast(units=32),
            *more,
        ],
    )


model = keras_ff.models.ForwardOnlyModel(
    [
        keras.Input((8, 8, 1)),
        with_objectives(40, CoarseClasses(LOOPS, weight=0.3)),
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
`loss` is what the layers minimize, objectives included. Objectives have a
check of their own: among others, that padding changes nothing, and that dead
features or a class without samples give numbers.
"""

for objective in (ClassCenters, lambda: CoarseClasses(LOOPS)):
    keras_ff.testing.check_objective(
        objective, input_shape=(4, 4, 6), num_classes=10
    )

"""

## An update without a gradient

A layer may also change weights itself. Here a dense layer learns by Sanger's
rule, a kind of Hebb's: one after another the principal components of what it
sees, while its head learns from labels as ever. `assign_add` runs once a
training step and never in `evaluate` or `predict`; what a batch with NaN did
to it is taken back.
"""


@keras.saving.register_keras_serializable(package="my_layers")
class Sanger(keras.layers.Layer):
    def __init__(self, units, rate=0.03, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.rate = rate

    def build(self, input_shape):
        self.kernel = self.add_weight(
            shape=(input_shape[-1], self.units), trainable=False
        )

    def call(self, inputs, training=None):
        outputs = inputs @ self.kernel
        if training:
            number = ops.cast(ops.shape(inputs)[0], inputs.dtype)
            hebb = ops.transpose(inputs) @ outputs
            decay = self.kernel @ ops.triu(ops.transpose(outputs) @ outputs)
            self.kernel.assign_add(self.rate * (hebb - decay) / number)
        return outputs

    def get_config(self):
        config = {"units": self.units, "rate": self.rate}
        return {**super().get_config(), **config}


model = keras_ff.models.ForwardOnlyModel(
    [
        keras.Input((8, 8, 1)),
        keras.layers.Flatten(),
        keras_ff.layers.LocalBlock(
            Sanger(16),
            goodness=keras_ff.layers.GoodnessProjection(10),
        ),
    ]
)
model.compile(optimizer=keras.optimizers.Adam(0.01))
model.fit(
    images[train],
    digits.target[train],
    epochs=epochs,
    batch_size=64,
    verbose=0,
)
accuracy = model.evaluate(images[test], digits.target[test], verbose=0)[1]
print(f"test accuracy: {accuracy:.3f}")

"""
## A method of your own

A `Method` says once what a network that learns your way is made of, and how
it is trained: head, objectives, dropout, loss, contribution, clipping,
optimizer. What
it does not say is as in the base class; a layer that is more than a
convolution, ReLU and dropout with this head is its function `conv`. It
goes wherever a method is chosen: into the ready networks, into
`ForwardOnlyHyperModel(..., methods=["caw", SquaredMethod()])`, and into the
papers' recipes, `python examples/reproduce.py squared-tiny_cnn-cifar10
--method my_file.py:SquaredMethod --output runs/squared`. `examples/tune.py`
and `make leaderboard` take it as one of their `--methods`,
`examples/ablation.py` as a further variant.
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
  `keras_ff.contributions.Contribution`; `keras_ff.testing.check_contribution`
  checks it.
- A layer with a constructor of its own: subclass
  `keras_ff.layers.LocalLayer` and set `layers`, `head` and `normalization`, a
  Keras layer without trainable weights or `None` (names such as `"layer"` are
  for `LocalBlock`); `check_local_layer` tells what is missing.
"""
