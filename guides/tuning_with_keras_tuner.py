"""
Title: Tuning with KerasTuner
Author: The keras_ff authors
Date created: 2026/11/22
Last modified: 2026/11/27
Description: Search method, network and training, alone or with many workers.
Accelerator: None
"""

"""
## What you will learn

Forward-only methods have settings of their own: temperatures, margins,
prototypes, how layers are weighed. Good values for one method are bad ones
for another, so a fair comparison tunes each of them. This guide does so with
[KerasTuner](https://keras.io/keras_tuner/): it looks at the search space,
narrows it, runs a real search on handwritten digits, reads its table and its
picture, and says what to do when a search is killed, or when one machine is
not enough.

It is for anyone who has trained a Keras model, and takes about five minutes
on a CPU. It needs `pip install "keras_ff[tune,plot]"`.

## Setup
"""

import os

import keras
import keras_tuner
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

import keras_ff

keras.utils.set_random_seed(0)
epochs = int(os.environ.get("GUIDE_EPOCHS", 9))

digits = load_digits()
images = digits.images[..., None].astype("float32") / 16
order = np.random.default_rng(0).permutation(len(images))
train, validation, test = np.split(order, [1100, 1400])

"""
## The search space

`ForwardOnlyHyperModel` makes a space of the networks in
`keras_ff.applications`. A hyperparameter that only some methods have is
conditional: it exists where `method` has one of their values.
"""

hypermodel = keras_ff.tuners.ForwardOnlyHyperModel(
    input_shape=(8, 8, 1),
    num_classes=10,
    architectures=["mlp"],
    methods=["caw", "prototype", "projection"],
)

"""
Every choice that need not be made makes the search better. You narrow a
hyperparameter in KerasTuner's own way: by registering it before the
hypermodel does. Here the width is fixed (100 units a layer).
"""

space = keras_tuner.HyperParameters()
space.Fixed("width_multiplier", 0.05)

"""
## The tuner

Any tuner of KerasTuner takes the hypermodel. Hyperband trains many settings
for one epoch, the better ones for three, the best for nine.

`ReliableSearch` in front of it is optional. With it, the search can be killed
at any moment: the same program goes on where it was, and it refuses a folder
that holds another search, or in which one runs. The objective is
`"val_accuracy"` with it; without it, say so. An objective that is not logged
is refused before the first trial, with the names that are.
"""


class Search(keras_ff.tuners.ReliableSearch, keras_tuner.Hyperband):
    pass


tuner = Search(
    hypermodel,
    max_epochs=epochs,
    factor=3,
    hyperparameters=space,
    seed=0,
    directory="tuning_guide",
)
for hp in tuner.oracle.get_space().space:
    condition = " and ".join(f"{c.name} in {c.values}" for c in hp.conditions)
    print(f"{hp.name:22}{type(hp).__name__:8}{condition}")

"""
## The search

The batch size is a hyperparameter, too. So `search` takes arrays, or a
function `batch_size -> (train, validation)`; a pipeline that has batches
already would leave nothing to tune. With the data sets of this library:

```python
tuner.search(
    lambda batch_size: keras_ff.datasets.load(
        "fashion_mnist", batch_size=batch_size
    )
)
```

A trial is backed up after every epoch and goes on there after an
interruption. A trial that fails (a loss that is no number, too little memory)
prints its traceback and counts as failed; after
`max_consecutive_failed_trials` in a row, three by default, the search stops.
"""

tuner.search(
    images[train],
    digits.target[train],
    validation_data=(images[validation], digits.target[validation]),
    verbose=0,
)

"""
## The table
"""

trials = [
    trial
    for trial in tuner.oracle.get_best_trials(100)
    if trial.status == "COMPLETED"
]
print("validation  epochs  method      learning rate  batch  contribution")
for trial in trials:
    hp = trial.hyperparameters
    print(
        f"{trial.score:10.1%}{hp.get('tuner/epochs'):8}"
        f"  {hp.get('method'):12}{hp.get('learning_rate'):13.4f}"
        f"{hp.get('batch_size'):7}  {hp.get('contribution')}"
    )

"""
## The picture

A line is a trial, a column a hyperparameter. Follow the brightest lines: where
they come together, the value matters; where they spread, it does not. We draw
what all methods share, of the trials that were trained longest.
"""

longest = max(t.hyperparameters.get("tuner/epochs") for t in trials)
finalists = [
    t for t in trials if t.hyperparameters.get("tuner/epochs") == longest
]
shared = [
    "method",
    "learning_rate",
    "weight_decay",
    "dropout",
    "batch_size",
    "contribution",
]
axes = keras_ff.visualization.parallel_coordinates(
    [{n: t.hyperparameters.get(n) for n in shared} for t in finalists],
    [t.score for t in finalists],
)
axes.figure.savefig("tuning_with_keras_tuner.png", dpi=120)
plt.close(axes.figure)
print("written: tuning_with_keras_tuner.png")

"""
## The best model

`get_best_models` gives the networks of the best epochs, trained. For a number
that you report, build the best settings anew and train them on all data for
as long as they deserve. The test images are used here for the first time.
"""

model = tuner.get_best_models()[0]
result = model.evaluate(
    images[test], digits.target[test], verbose=0, return_dict=True
)
print(f"best model of the search, test: {result['accuracy']:.1%}")

best = tuner.get_best_hyperparameters()[0]
model = hypermodel.build(best)
hypermodel.fit(
    best,
    model,
    images[np.concatenate([train, validation])],
    digits.target[np.concatenate([train, validation])],
    # What LossAware and Interval weigh the layers by.
    validation_data=(images[validation], digits.target[validation]),
    epochs=2 * epochs,
    verbose=0,
)
result = model.evaluate(
    images[test], digits.target[test], verbose=0, return_dict=True
)
print(f"trained anew, twice as long:    {result['accuracy']:.1%}")

"""
## What was learned

What the search above says (PyTorch, one seed, 23 trials, 300 validation
images, so that a point is three images):

- the best trial has 99.0 % (98.2 % of the test images; 98.5 % when trained
  anew, twice as long). `"projection"` and the best `"prototype"`, 98.0 %, are
  three images apart, which is next to nothing.
- All six trials that were trained for nine epochs have 96.3 % or more, at
  learning rates from 0.008 to 0.09; the two rates below 0.001 were among the
  slowest.
- **Hyperband favors methods that start fast.** CAW-Conv's assignment of
  channels to classes begins undecided; it reached 60 % after one epoch and
  80 % after three, where others had 88 % and 95 %, and was never trained
  for nine. That is no verdict on the method, which needs longer
  trials: give each method a search of its own before you compare them, or use
  `keras_tuner.RandomSearch` with as many epochs as the slowest needs.
- Batch size and contribution of the best trials differ: with so
  few trials nothing can be said about them.

## Many workers

The same program on several machines with a shared `directory`, or several
times on one, is one search. One of them is the chief, which trains nothing:

```
export KERASTUNER_ORACLE_IP=127.0.0.1 KERASTUNER_ORACLE_PORT=8000
KERASTUNER_TUNER_ID=chief   python search.py
KERASTUNER_TUNER_ID=worker0 python search.py
KERASTUNER_TUNER_ID=worker1 python search.py
```

With 127.0.0.1 the chief listens to this machine only. For workers on other
machines give the address of the chief's. There everyone in the network can
reach it, so with `ReliableSearch` it demands a secret, which the chief and
all workers find in an environment variable. Whoever does not know it is
turned away:

```
export KERASTUNER_ORACLE_IP=10.0.0.1 KERASTUNER_ORACLE_PORT=8000
export KERAS_FF_CHIEF_SECRET="$(cat ~/.search_secret)"  # on every machine
```

The secret travels unencrypted, as all that chief and workers say. Where the
network is not your own, let 127.0.0.1 be the address everywhere and connect
the machines with `ssh -L 8000:127.0.0.1:8000 10.0.0.1`. (KerasTuner's own
chief, without `ReliableSearch`, asks nobody for anything.)

With `ReliableSearch`, a worker that is not heard of for `worker_timeout`
seconds is given up, and its trial goes on, from its last epoch, with the next
worker that asks. Restart it under its old name and it takes its trial up
itself. If it was slow, not dead, it notices, leaves that trial to its heir and
asks for another. A worker that gets no answer for `chief_timeout` seconds
gives up and says which address it tried. A chief that died is restarted with
the same command. `examples/tune.py` is such a program, ready to use.

## Good to know

- KerasTuner copies your callbacks for every trial with `copy.deepcopy`. Open
  files and writers in `on_train_begin`, not before.
- Hyperband carries a network's weights on to the longer trial, not its
  optimizer's state. That is KerasTuner's way.
- Within one process memory may grow from trial to trial. A worker that is
  restarted now and then loses nothing.
"""
