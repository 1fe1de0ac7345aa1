"""
Title: Regression without backpropagation
Author: The keras_ff authors
Date created: 2026/11/28
Last modified: 2026/11/28
Description: Local layers that predict values, beside backpropagation.
Accelerator: None
"""

"""
## What you will learn

A local layer need not score classes. Under a loss of values, such as
`keras.losses.MeanSquaredError()`, every layer predicts the values itself and
learns from its own error; the model's prediction is the **weighted mean** of
what its layers predict. The loss decides that, whatever the numbers look like:
`model.task` is then `"regression"`.

You will train such networks on two data sets that ship with scikit-learn, one
column and 32 columns to predict, and hold each against backpropagation through
the same network, with three seeds. It is for anyone who knows Keras, and takes
less than a minute on a CPU.

## One column: how a diabetes progresses

Ten measurements of each of 442 patients, and a number that says how far the
disease went in a year. All are standardized by the training data.
"""

import os

import keras
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.datasets import load_digits

import keras_ff

short = "GUIDE_EPOCHS" in os.environ
seeds = range(1 if short else 3)


def split(x, y, number):
    """Training and test data, always the same."""
    order = np.random.default_rng(0).permutation(len(x))
    train, test = order[number:], order[:number]
    return (x[train], y[train]), (x[test], y[test])


def standardized(train, test):
    mean, std = train.mean(axis=0), train.std(axis=0) + 1e-6
    return [((a - mean) / std).astype("float32") for a in (train, test)]


x, y = load_diabetes(return_X_y=True, scaled=False)
(x_train, y_train), (x_test, y_test) = split(x, y[:, None], 110)
x_train, x_test = standardized(x_train, x_test)
unit = y_train.std()
y_train, y_test = standardized(y_train, y_test)

"""
## Two networks of the same layers

`GoodnessProjection(columns, use_bias=True)` is a linear map from a layer's
activation to its prediction, which is all that regression needs of a head. (A
`keras.layers.Dense(columns)` does as well.) The features that a layer hands on
are divided by their root mean square.
"""


def local_network(features, columns, units, depth, **options):
    blocks = [
        keras_ff.layers.LocalBlock(
            keras.layers.Dense(units, activation="relu"),
            keras_ff.layers.GoodnessProjection(columns, use_bias=True),
            normalization="rms",
            name=f"layer_{i + 1}",
        )
        for i in range(depth)
    ]
    return keras_ff.models.ForwardOnlyModel(
        [keras.Input((features,)), *blocks], **options
    )


def network(features, columns, units, depth):
    """The same, with one head at its end."""
    layers = [keras.Input((features,))]
    for _ in range(depth):
        layers.append(keras.layers.Dense(units, activation="relu"))
        layers.append(keras.layers.UnitNormalization())
        layers.append(keras.layers.Rescaling(units**0.5))
    return keras.Sequential([*layers, keras.layers.Dense(columns)])


def train(model, data, epochs, rate, batch_size=32):
    model.compile(
        keras.optimizers.AdamW(rate, weight_decay=0.1),
        loss=keras.losses.MeanSquaredError(),
        metrics=["mae"],
    )
    epochs = int(os.environ.get("GUIDE_EPOCHS", epochs))
    model.fit(*data, batch_size=batch_size, epochs=epochs, verbose=0)
    return model


def error(prediction, y):
    """The mean absolute error."""
    return float(np.mean(np.abs(prediction - y)))


"""
`predict` gives the mean, `goodness` what each layer predicts.
"""

by_seed = []
for seed in seeds:
    keras.utils.set_random_seed(seed)
    model = train(
        local_network(10, 1, units=64, depth=3), (x_train, y_train), 12, 1e-3
    )
    print(f"seed {seed}, task: {model.task}")
    layers = np.moveaxis(model.goodness(x_test), 1, 0)
    keras.utils.set_random_seed(seed)
    end_to_end = train(network(10, 1, 64, 3), (x_train, y_train), 12, 1e-3)
    by_seed.append(
        [
            *(error(layer, y_test) for layer in layers),
            error(model.predict(x_test, verbose=0), y_test),
            error(end_to_end.predict(x_test, verbose=0), y_test),
        ]
    )
ones = np.ones((len(x_train), 1))
line, *_ = np.linalg.lstsq(np.hstack([x_train, ones]), y_train)
linear = x_test @ line[:-1] + line[-1]
names = ["layer 1", "layer 2", "layer 3", "their mean", "end to end"]
for name, values in zip(names, unit * np.transpose(by_seed)):
    print(f"{name:12}{values.mean():6.1f} ± {values.std():.1f}")
print(f"{'a line':12}{unit * error(linear, y_test):6.1f}")
print(f"{'the mean':12}{unit * error(y_train.mean(), y_test):6.1f}")

"""
In our run, on PyTorch, in the data's own unit, mean and standard deviation
over the seeds:

| prediction | mean absolute error |
|---|---|
| layer 1 | 44.0 ± 1.0 |
| layer 2 | 45.7 ± 0.4 |
| layer 3 | 48.7 ± 1.3 |
| mean of the layers | 44.7 ± 0.4 |
| end to end | 47.4 ± 1.4 |
| a straight line | 44.1 |
| always the mean | 66.4 |

So few patients tell little more than a straight line sees. The network that is
trained end to end begins to overfit (46.5 after 8 epochs, 48.7 after 20), the
local one hardly does (44.8 and 44.6). Deeper layers add nothing here: a
prediction by all layers is a safeguard, and `model.goodness` shows which of
them is worth its time. `model.truncate(1)` would keep the first alone.

## Many columns: the lower half of a digit

The 32 upper pixels of a handwritten digit, and the 32 lower ones to predict.
`LossAware` weighs layers by their loss on held-out data. In regression losses
are compared with that of the best layer, `softmax(-L / min(L))`: weights do
not depend on the unit of the targets.
"""

pixels = (load_digits().data / 16).astype("float32")
train_halves, (upper, lower) = split(pixels[:, :32], pixels[:, 32:], 400)

by_seed = []
for seed in seeds:
    keras.utils.set_random_seed(seed)
    model = local_network(
        32,
        32,
        256,
        3,
        contribution=keras_ff.contributions.LossAware("training"),
    )
    train(model, train_halves, 12, 2e-3, 64)
    keras.utils.set_random_seed(seed)
    end_to_end = train(network(32, 32, 256, 3), train_halves, 12, 2e-3, 64)
    by_seed.append(
        [
            *(
                error(x, lower)
                for x in np.moveaxis(model.goodness(upper), 1, 0)
            ),
            error(model.predict(upper, verbose=0), lower),
            error(end_to_end.predict(upper, verbose=0), lower),
        ]
    )
    print("weights of the layers:", model.contribution.weights.round(2))
for name, values in zip(names, np.transpose(by_seed)):
    print(f"{name:12}{values.mean():7.4f} ± {values.std():.4f}")

"""
| prediction | mean absolute error |
|---|---|
| layer 1 | 0.1345 ± 0.0011 |
| layer 2 | 0.1417 ± 0.0013 |
| layer 3 | 0.1439 ± 0.0029 |
| mean of the layers | 0.1297 ± 0.0017 |
| end to end | 0.1393 ± 0.0007 |

The mean is better than every layer by itself, as an ensemble is, and after
these 12 epochs better than the network that was trained end to end. These are
two small data sets and one setting; neither network was tuned.

## What to remember

- A loss of values makes a model one of regression: `"mse"`, `"mae"`,
  `keras.losses.Huber()` and the like. A loss of your own says so by an
  attribute, `task = "regression"`.
- Heads have as many columns as there are values; targets are of shape
  `(samples, columns)`, or `(samples,)` for one.
- `predict`, `evaluate`, `save`, `truncate` and `export` are the same as for
  classes. What needs a prediction to be right or wrong is refused: early exit,
  `Interval`, `class_weight`.
- Contributions are normalized in the mean, so that they weigh layers and never
  scale values.
"""
