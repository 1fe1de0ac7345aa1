"""
Title: CAW-Conv on CIFAR-10: what do the channels stand for?
Author: The keras_ff authors
Date created: 2026/11/22
Last modified: 2026/11/22
Description: Train CAW-Conv on photographs and read its learned assignment.
Accelerator: None
"""

"""
## What you will learn

In CAW-Conv (Ghader et al., 2026,
[arXiv 2606.09928](https://arxiv.org/abs/2606.09928)) every convolution learns
from its own loss, and it scores a class by *how active the channels of that
class are*. Which channel belongs to which class is not given: every layer
learns a matrix, the **channel-class assignment**. So a trained layer can be
read: you can see which classes it tells apart, and which ones share channels
because they look alike.

You will train a small network on CIFAR-10, see what each layer contributes,
and read the assignment. It is for anyone who knows Keras layers, and takes
about three minutes of processor time, without a GPU.

## Setup

`datasets.load` takes CIFAR-10 from TensorFlow Datasets, which downloads it
once; set `TFDS_DATA_DIR` to where it lies or shall lie. (With `GUIDE_EPOCHS`
set, for a quick try, the guide takes scikit-learn's digits instead.)
"""

import os

import keras
import matplotlib.pyplot as plt
import numpy as np

import keras_ff
from keras_ff import visualization

keras.utils.set_random_seed(0)
quick = "GUIDE_EPOCHS" in os.environ
epochs = int(os.environ.get("GUIDE_EPOCHS", 5))

train, validation, test = keras_ff.datasets.load(
    "digits" if quick else "cifar10",
    batch_size=128,
    data_dir=os.environ.get("TFDS_DATA_DIR"),
)
class_names = "airplane automobile bird cat deer dog frog horse ship truck"
class_names = list("0123456789") if quick else class_names.split()
images = np.concatenate([x for x, _ in test.as_numpy_iterator()])
labels = np.concatenate([y for _, y in test.as_numpy_iterator()])

"""
## Train it

`tiny_cnn` is the published four-layer network; `width_multiplier=0.1` takes a
tenth of its channels (10, 20, 40 and 40), so that a CPU is enough.
`method="caw"` brings what the paper trains with: `LossAware()` weighs the
layers by how well each does on the validation data. `layer_metrics=True` logs
every layer by itself. (The gradients are not clipped here; the published
`layer_clipnorm` of 1 is for longer trainings.)
"""

model = keras_ff.applications.tiny_cnn(
    images.shape[1:],
    num_classes=10,
    method="caw",
    width_multiplier=0.1,
    model_options={
        "layer_clipnorm": None,
        "layer_metrics": True,
    },
)
model.compile(optimizer=keras.optimizers.AdamW(0.03, weight_decay=5e-4))
history = model.fit(train, validation_data=validation, epochs=epochs, verbose=2)
results = model.evaluate(test, return_dict=True, verbose=0)
names = [layer.name for layer in model.local_layers]
for key in [*[f"{name}_accuracy" for name in names], "accuracy"]:
    print(f"test {key}: {results[key]:.1%}")
print("contributions:", model.contribution.weights.round(2))

"""
With TensorFlow, the layers have 37.9 %, 49.7 %, 50.1 % and 47.4 % by
themselves, and 53.5 % together, after five epochs. No gradient went from one
layer to another, and yet the later layers are better than the first: its
features are worth handing on, though nobody asked it for them. (The network
is small and the training short: the published one, a ResNet-17 trained for
150 epochs, has 89.37 %. `python examples/reproduce.py caw-resnet17-cifar10`
trains it, on a GPU.)
"""

goodness = model.goodness(images)  # (images, layers, classes)
figure, axes = plt.subplots(1, 2, figsize=(13, 4.5), layout="constrained")
visualization.layer_accuracy_over_epochs(history, ax=axes[0])
visualization.depth_accuracy(
    goodness, model.contribution.weights, labels, names, ax=axes[1]
)
figure.savefig("caw_conv_layers.png", dpi=150)
print("written: caw_conv_layers.png")

"""
The right-hand picture adds up the goodness of the first one, two, three and
four layers, each with its contribution: 37.9 %, 50.0 %, 53.2 % and 53.5 %. The
third layer brings 3 points although it is hardly better than the second, as
it errs elsewhere; the fourth is hardly worth its time.

## Read the assignment

`layer.head.shares()` is the assignment of a layer: one row a channel, one
column a class, rows sum to 1. Sorted by class, a layer whose channels had all
made up their minds would be a staircase of ones.
"""

layer = model.local_layers[2]
shares = keras.ops.convert_to_numpy(layer.head.shares())
figure, axes = plt.subplots(1, 2, figsize=(13, 4.5), layout="constrained")
visualization.assignment(
    layer, axes[0], class_names=class_names, vmax=shares.max()
)
visualization.specialization(model, ax=axes[1])
figure.savefig("caw_conv_assignment.png", dpi=150)
print("written: caw_conv_assignment.png")

"""
After so few epochs it is far from that: most channels still serve several
classes. Just that is worth a look. Which classes share their channels? The
correlation of two columns says whether two classes rely on the same ones.
(It is the cosine of the centered columns, so the picture of similar prototypes
draws it.)
"""

columns = shares.T - shares.mean(axis=0)[:, None]
correlations = np.corrcoef(columns)
np.fill_diagonal(correlations, -1)
for k, name in enumerate(class_names):
    friend = correlations[k].argmax()
    print(
        f"{name} shares most with {class_names[friend]}: "
        f"{correlations[k, friend]:.2f}"
    )

figure, axes = plt.subplots(
    1, 2, figsize=(15, 5), width_ratios=[2, 3], layout="constrained"
)
visualization.prototype_similarity(columns, class_names, ax=axes[0])
axes[0].set_xlabel("class")
axes[0].set_ylabel("class")
axes[0].images[0].colorbar.set_label("correlation of the shares")

"""
Nobody told the network that cats look like dogs. It found that they are told
from the rest by the same channels (a correlation of 0.68), and so are
automobiles and trucks (0.47), airplanes and ships (0.40), deer and horses
(0.29). Between animals and vehicles nearly all correlations are negative:
a channel that speaks for the one speaks against the other.

The entropy penalty of CAW-Conv drives channels towards fewer classes, in
trainings longer than this one.

## One photograph

`class_activation` shows the activity behind one prediction. We take the
image that this layer is surest of: the one whose best class leads the second
best by most.
"""

second, first = np.sort(goodness[:, 2], axis=1)[:, -2:].T
surest = np.argmax(first - second)
print("the surest image shows:", class_names[labels[surest]])
visualization.class_activation(
    model, layer, images[surest], class_names, ax=axes[1]
)
figure.savefig("caw_conv_classes.png", dpi=150)
print("written: caw_conv_classes.png")

"""
It is a ship, and it shows: the channels assigned to ships are the most active
ones. The goodness of a class is the sum of all bars, each times its channel's
share in the class; the blocks show the largest shares only.

## Where to go from here

- Train longer and wider: `python examples/caw_conv.py --help`.
- `keras_ff.callbacks.LocalLearningMonitor` writes these pictures and numbers
  for TensorBoard, while training.
- `keras_ff.regularizers` has the penalties of the assignment, the scale of
  which you can change.
"""
