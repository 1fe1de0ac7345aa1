"""
Title: Coming from an ordinary Keras model
Author: The keras_ff authors
Date created: 2026/11/28
Last modified: 2026/11/28
Description: A model trained by backpropagation, and what is different here.
Accelerator: None
"""

"""
## The model that you have

Convolutions, a loss at the end, `fit`. On digits of 8 x 8 pixels:
"""

import os

import keras
from sklearn.datasets import load_digits

import keras_ff

epochs = int(os.environ.get("GUIDE_EPOCHS", 15))
keras.utils.set_random_seed(0)

images, labels = load_digits(return_X_y=True)
images = (images / 16).astype("float32").reshape(-1, 8, 8, 1)
x_train, y_train = images[:1400], labels[:1400]
x_test, y_test = images[1400:], labels[1400:]


def backbone():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(32, 3, padding="same", activation="relu"),
            keras.layers.Conv2D(32, 3, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(2),
            keras.layers.Conv2D(64, 3, padding="same", activation="relu"),
            keras.layers.Conv2D(64, 3, padding="same", activation="relu"),
        ]
    )


def train(name, model):
    model.compile(
        keras.optimizers.Adam(3e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(x_train, y_train, batch_size=100, epochs=epochs, verbose=0)
    results = model.evaluate(x_test, y_test, return_dict=True, verbose=0)
    print(f"{name}: {results['accuracy']:.1%}")
    return model


ordinary = keras.Sequential(
    [
        backbone(),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(10),
    ]
)
train("backpropagation", ordinary)

"""
## Cut it

`localize` cuts the model into blocks. Each gets a head and a loss of its own,
and gradients stay inside a block. Leave out the classification top; the rest
of the program stays.
"""

model = keras_ff.models.localize(
    backbone(),
    num_classes=10,
    cut=2,
    goodness=lambda classes: keras_ff.layers.GoodnessProjection(
        classes, pooling=2
    ),
    layer_metrics=True,
)
train("two blocks", model)
results = model.evaluate(x_test, y_test, return_dict=True, verbose=0)
for name, value in results.items():
    if name.endswith("_accuracy"):
        print(f"{name}: {value:.1%}")

"""
## What stays

`compile`, `fit`, `evaluate`, `predict`, `save`, callbacks, mixed precision,
every optimizer of Keras, sample and class weights, `tf.data`, data loaders and
arrays.

## What changes

| ordinary | local |
|---|---|
| one loss, at the end | one a layer or block; `loss` in the logs is their sum |
| gradients through all layers | inside a layer or block only |
| one output | the weighted sum of all layers' scores: `contribution=...` |
| often a softmax at the end | logits: losses take `from_logits=True` |
| weights of all layers change together | the same, each by its own loss |
| a subclass with its own `train_step` | layers of your own, in `LocalBlock`s |

## What it costs

- **Memory** of a step is that of the largest block. ResNet-50 in 8 blocks,
  planned with `batch_size=32`, needs 0.11 times the activations of
  backpropagation.
- **Time** of a step: 0.5 to 1.3 times that of backpropagation, by backend and
  width.
- **Accuracy**: 0.4 to 3 points less where we compared; none on small digits.
- **Weights**: a head a block.

`docs/measured.md` has the details.

## When not to come

- Where accuracy is all and memory is no matter.
- Models with several inputs or outputs of different kinds, detection,
  segmentation, generation, graphs, reinforcement learning: a local layer
  scores classes or predicts values of the whole sample.
- Where `keras.RematScope` or accumulated gradients make the model fit: they
  are exact backpropagation, and need no more than a line.
"""
