"""
Title: Which method to take
Author: The keras_ff authors
Date created: 2026/11/28
Last modified: 2026/11/28
Description: Every method on one network, under equal conditions.
Accelerator: None
"""

"""
## What you will learn

`keras_ff` has several methods of forward-only learning. The papers that
propose them train different networks for different times, so their figures
cannot be held against one another. `make leaderboard` does that: the same
network, data, split, augmentation, length and number of learning rates to
choose from, for every method and for backpropagation. This guide trains two of
them on digits, reads what the leaderboard found on CIFAR-10, and says which
method to take when. It takes a minute on a CPU, in a checkout of the project.
"""

import os
import pathlib

import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

import benchmarks
import keras_ff
from benchmarks.methods import results

epochs = int(os.environ.get("GUIDE_EPOCHS", 3))

"""
## One network, any method

`whitened_cnn` has six convolutions behind a fixed whitening. The method is one
argument; everything else stays.
"""

digits = load_digits()
images = digits.images[..., None].astype("float32")
images = np.kron(images, np.ones((1, 2, 2, 1), "float32"))
order = np.random.default_rng(0).permutation(len(images))
train, test = order[:1400], order[1400:]


def accuracy(method):
    keras.utils.set_random_seed(0)
    model = keras_ff.applications.whitened_cnn(
        (16, 16, 1), 10, method=method, width_multiplier=0.25
    )
    keras_ff.models.adapt_whitening(model, images[train])
    steps = epochs * -(-len(train) // 100)
    rate = keras_ff.optimizers.Triangular(0.1, steps=steps)
    model.compile(
        keras_ff.optimizers.Muon(
            rate,
            momentum=0.6,
            ns_steps=3,
            rms_rate=None,
            normalize_weights=True,
            adam_lr_ratio=0.1,
        ),
        loss=keras_ff.losses.LocalCrossentropy(label_smoothing=0.1),
        metrics=["accuracy"],
    )
    model.fit(
        images[train],
        digits.target[train],
        batch_size=100,
        epochs=epochs,
        verbose=0,
    )
    scores = model.predict(images[test], verbose=0)
    return np.mean(scores.argmax(axis=-1) == digits.target[test])


for method in ("prototype", "backprop"):
    print(f"{method}: {accuracy(method):.1%}")

"""
## The leaderboard

The committed run, as the tables says: a small network and a short training, so
that every method could be tuned and trained on two processor cores. What it
ranks is how fast a method learns, not where it ends.
"""

folder = pathlib.Path(benchmarks.__file__).parent / "results/methods/cifar10"
found = results.read(folder)
print(results.table(found))

plt.figure(figsize=(9, 5.5), layout="constrained")
plt.imshow(plt.imread(folder / "methods.png"))
plt.axis("off")
plt.show()

"""
## What it says, and what not

Three seeds, after two epochs of a network of 49,000 weights (93,000 with
the heads of most local methods), so a difference below a point decides little:

- **Deep supervision is ahead, by 0.9 points of backpropagation**, with the
  same heads as the local methods and gradients through all layers. So what
  locality costs is best read from it: the heads give a little, and cutting
  the gradients between layers takes 2.4 points.
- **HFF's prototypes, the projection and CAW-Conv's assignment are level**: 1.6,
  1.9 and 2.1 points behind backpropagation, with seeds that differ by up to 1.4
  points. After the first epoch, while the learning rate is high, they
  have 61 to 64 % of the validation images, backpropagation 62 %.
- **What is learned beside the cross-entropy slows learning down.** The
  supervised contrast ends 2.2 points behind the projection that it scores
  with. Similarity matching, which has 99 % of predsim's published loss, ends at
  65 %, and later layers are hardly better than the first. Both papers train
  for hundreds of epochs; this table says nothing about that.
- **No method needs the learning rate of another**: of four, all have their
  best validation accuracy at the same one.
- **The local methods save memory, not time.** A step needs 61 % of
  backpropagation's memory, a smaller share the more layers there are; deep
  supervision needs 120 %. A local step takes 1.2 to 1.3 times as long as
  one of backpropagation (with contrast 1.6, predsim 1.9, deep supervision 1.5),
  as every layer looks through a convolution of its own before it scores;
  between bare layers a local step is the faster one, see the guide on memory
  and speed.

Longer training helps all of them: at four times this width prototypes reach
87.6 % after two epochs and CAW-Conv's assignment 91.0 % after six (one seed
each, see [measured](../docs/measured.md)).

## Which to take

- **The best accuracy, memory is no matter**: backpropagation.
- **Memory is short, or layers shall learn by themselves**: `"prototype"` or
  `"projection"`. Prototypes can be looked at, start from class means
  (`adapt_prototypes`), and new classes can be added to them
  (`models.add_classes`); the projection is the plainest.
- **You want to see what channels stand for**: `"caw"`. The assignment is a
  matrix of shares to look at.
- **You want to compare with a paper**: its own network and recipe,
  `examples/reproduce.py`.

Where memory is no matter and layers shall score too, as for early exit:
`"deep_supervision"`. `"contrast"` and `"predsim"` are there for long trainings
and for research. The table's command goes on where it stopped, with more seeds
or epochs:

```
python -m benchmarks.methods --epochs 2 --width-multiplier 0.25 \\
    --tuning 0.5 --factors 0.5 1 2 4
```
"""
