"""
Title: Classes that come later, and few labels
Author: The keras_ff authors
Date created: 2026/11/28
Last modified: 2026/11/28
Description: Grow a trained model, see what it forgets, learn from few labels.
Accelerator: None
"""

"""
## What you will learn

A class of HFF is a point on a sphere, so a further class is a further point.
That invites two hopes: that a network which learns layer by layer takes new
classes without forgetting the old ones, and that it needs fewer labels. You
will let a model grow with `keras_ff.models.add_classes`, count what it forgets
beside backpropagation of the same network, and read the larger study that is
stored with the project. It is for anyone who knows Keras layers, and takes
under a minute on a CPU.

## Setup

Scikit-learn's digits, as five tasks: 0 and 1, then 2 and 3, and so on. Nothing
of an earlier task is shown again (no *replay*), and the model is always asked
for all classes seen so far (*class-incremental* learning).
"""

import json
import os
import pathlib

import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

import keras_ff
from examples import continual

keras.utils.set_random_seed(0)
epochs = int(os.environ.get("GUIDE_EPOCHS", 10))

digits = load_digits()
images = digits.data.astype("float32") / 16
order = np.random.default_rng(0).permutation(len(images))
train, test = order[:1400], order[1400:]
x_train, y_train = images[train], digits.target[train]
x_test, y_test = images[test], digits.target[test]


def task(number):
    chosen = y_train // 2 == number
    return x_train[chosen], y_train[chosen]


"""
## A model that grows

It starts with two classes. `add_classes` gives a new model with more of them:
layers, statistics and the optimizer's state are kept, the scores of the old
classes too, and new prototypes start at random.
"""

model = keras_ff.models.ForwardOnlyModel(
    [
        keras.Input((64,)),
        keras_ff.layers.PrototypeDense(100, num_classes=2),
        keras_ff.layers.PrototypeDense(100, num_classes=2),
    ]
)
model.compile(
    keras.optimizers.Adam(1e-3), loss=keras_ff.losses.SmoothMarginLoss()
)
model.fit(*task(0), epochs=epochs, verbose=0)
grown = keras_ff.models.add_classes(model, 2)
difference = grown.predict(x_test, verbose=0)[:, :2] - model.predict(
    x_test, verbose=0
)
print(f"classes: {model.num_classes}, then {grown.num_classes}")
print(f"old classes score as before, to {np.abs(difference).max():.1e}")

"""
## Train on, or only place the new points

Two ways to learn the next task. `fit` trains layers and prototypes on its
images. `adapt_prototypes` puts the new prototypes at the mean directions of
their classes: one forward pass, and as no old class is among the samples, no
old prototype moves. Nor do the layers, which stay as the first task made them.
"""


def seen_so_far(model):
    shown = y_test < model.num_classes
    scores = model.predict(x_test[shown], verbose=0)
    return np.mean(scores.argmax(axis=-1) == y_test[shown])


for way in ("fit", "means"):
    grown = model
    accuracies = [seen_so_far(grown)]
    for number in range(1, 5):
        grown = keras_ff.models.add_classes(grown, 2)
        keras_ff.models.adapt_prototypes(grown, *task(number))
        if way == "fit":
            grown.fit(*task(number), epochs=epochs, verbose=0)
        accuracies.append(seen_so_far(grown))
    print(f"{way:6}", "  ".join(f"{a:.0%}" for a in accuracies))

"""
The second way keeps far more. The loss of a new task makes the new prototypes
win, whatever the old images, which it never sees, look like by then; points
that are only placed leave the old scores alone, and lose only as far as more
classes are harder to tell apart.

What cannot grow is refused by name: in CAW-Conv's assignment and in fixed
groups of channels, classes share what there is.
"""

try:
    keras_ff.models.add_classes(
        keras_ff.models.ForwardOnlyModel(
            [keras.Input((64,)), keras_ff.layers.CAWDense(100, num_classes=2)]
        ),
        2,
    )
except ValueError as error:
    print(error)

"""
## The larger study

Fashion-MNIST, three dense layers of 250, 3 seeds, by `examples/continual.py`.
For backpropagation the same layers are one local block with one head of
prototypes on top: its gradient goes from end to end, and it grows the same
way. (HFF has an embedding and prototypes at every layer, so some weights
more.)
"""

checkout = pathlib.Path(continual.__file__).parents[1]
results = checkout / "benchmarks/results"
tasks = json.loads((results / "continual_fashion_mnist.json").read_text())
print(continual.table(tasks))

colors = {"fit": "#D55E00", "slow": "#E69F00", "means": "#0072B2"}
colors["untrained"] = "#777777"
figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
for variant, runs in tasks["runs"].items():
    learner, way = variant.split(", ")
    if way in colors:
        means = [run["mean_accuracies"] for run in runs.values()]
        axes.plot(
            [2, 4, 6, 8, 10],
            100 * np.mean(means, axis=0),
            "o-" if learner == "hff" else "s--",
            color=colors[way],
            label=variant,
        )
axes.set_xlabel("classes seen")
axes.set_ylabel("test accuracy (%) over them, mean of 3 seeds")
axes.set_ylim(0, 100)
axes.grid(alpha=0.3)
axes.legend(frameon=False, fontsize="small")
figure.savefig("continual.png", dpi=150)
print("written: continual.png")

"""
In our runs, on PyTorch, 500 images a class, 2 epochs a task; the columns that
matter, in percent:

| | over all 10 classes | forgotten of old tasks |
|---|---|---|
| HFF, `fit` | 19.9 ± 0.0 | 98.2 ± 0.1 |
| backpropagation, `fit` | 19.9 ± 0.0 | 98.2 ± 0.1 |
| HFF, `slow` | 52.6 ± 6.4 | 42.5 ± 6.0 |
| backpropagation, `slow` | 43.4 ± 5.8 | 51.4 ± 11.9 |
| HFF, `means` | 63.4 ± 0.8 | 13.9 ± 0.7 |
| backpropagation, `means` | 58.3 ± 2.4 | 14.3 ± 0.7 |
| HFF, `untrained` | 68.5 ± 0.8 | 14.6 ± 0.4 |
| backpropagation, `untrained` | 65.0 ± 1.2 | 16.1 ± 0.4 |
| HFF, all classes at once | 82.2 ± 0.2 | |
| backpropagation, all classes at once | 81.5 ± 0.8 | |

- **Learning layer by layer does not protect from forgetting.** Trained on task
  after task, both know the last two classes and nothing else.
- **A hundredth of the learning rate** after the first task loses about half
  as much. HFF is ahead with every seed, by 6 to 14 points, and far from enough.
- **Placing prototypes is better, and training before it does not help**:
  layers that nothing has trained (`untrained`) beat those that learned the
  first two classes, by 5 to 7 points. Two classes teach features for two.
- HFF is 5 points ahead with `means`. Most of that is no merit of its learning:
  untrained, where both networks are random, it is 3.5 points ahead, perhaps
  because three layers vote.
- All ways stay 13 points or more below training on all classes at once.

## Few labels

The same dense layers with 10, 100 and 1000 labeled images a class, by HFF,
CAW-Conv's assignment and backpropagation: 80, 120 and 300 updates, and the
learning rate, of three, that was best on 1,000 validation images with the
first seed. (Those are more labels than the smallest training sets have; all
methods use them alike.)
"""

labels = json.loads((results / "few_labels_fashion_mnist.json").read_text())
print(continual.table(labels))

"""
In our runs, on PyTorch, three seeds, test accuracy in percent:

| labels a class | HFF | CAW-Conv's assignment | backpropagation |
|---|---|---|---|
| 10 | 71.3 ± 0.9 | 69.4 ± 1.5 | 70.3 ± 1.2 |
| 100 | 80.5 ± 0.5 | 80.4 ± 0.9 | 79.5 ± 0.3 |
| 1000 | 85.0 ± 0.1 | 85.0 ± 0.2 | 84.7 ± 0.3 |

HFF leads backpropagation by about one point with 10 and 100 labels and by 0.3
with 1000, not much more than the spread of the seeds: no method needs far
fewer labels than another. (For most, the largest of the three rates was best;
a still larger one was not tried.)

## What to remember

- `add_classes` keeps what a model knows; `fit` on new classes alone does not.
  Keep some old images and train on both, or place prototypes and leave the
  layers.
- Compare with an untrained network, too: it may be better than one that was
  trained on other classes.
- Few labels are no reason for, or against, learning layer by layer.
"""
