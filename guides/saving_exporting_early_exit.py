"""
Title: Saving, exporting, truncating, early exit
Author: The keras_ff authors
Date created: 2026/11/22
Last modified: 2026/11/22
Description: Bring a trained forward-only model to where it is used, in less.
Accelerator: None
"""

"""
## What you will learn

A forward-only model is an ordinary Keras model, so it saves and exports like
one. It also has something that an end-to-end network lacks: **every layer can
classify**. So you may cut a trained model short, or let each sample leave as
soon as it is decided. You will

- save a model and load it on another backend,
- export it to ONNX, SavedModel and LiteRT and run the files without Keras,
- truncate it,
- calibrate and use early exit, and see how many layers samples need.

It is for anyone who wants to *use* what they trained, and takes about a
minute on a CPU. Besides `keras_ff` it needs scikit-learn, matplotlib, `onnx`,
`onnxruntime`, and the converter of your backend: `tf2onnx` and, for LiteRT,
`ai-edge-litert` (TensorFlow), `jax2onnx` (JAX), `onnxscript` (PyTorch).

## A trained model
"""

import importlib.util
import os
import subprocess
import sys

import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

import keras_ff

keras.utils.set_random_seed(0)
epochs = int(os.environ.get("GUIDE_EPOCHS", 15))

digits = load_digits()
images = digits.images[..., None].astype("float32") / 16
order = np.random.default_rng(0).permutation(len(images))
train, validation, test = order[:1000], order[1000:1400], order[1400:]
x_train, y_train = images[train], digits.target[train]
x_validation, y_validation = images[validation], digits.target[validation]
x_test, y_test = images[test], digits.target[test]

model = keras_ff.models.ForwardOnlyModel(
    [
        keras.Input((8, 8, 1)),
        *[
            keras_ff.layers.CAWConv2D(
                20, 3, num_classes=10, padding="same", name=f"conv_{i}"
            )
            for i in range(1, 5)
        ],
    ],
    contribution=keras_ff.contributions.LossAware(),
)
model.compile(
    optimizer=keras.optimizers.AdamW(0.01),
    loss=keras_ff.losses.LocalCrossentropy(label_smoothing=0.1),
)
model.fit(
    x_train,
    y_train,
    validation_data=(x_validation, y_validation),
    batch_size=64,
    epochs=epochs,
    verbose=0,
)
expected = model.predict(x_test, verbose=0)


def accuracy(predictions):
    return np.mean(np.argmax(predictions, axis=-1) == y_test)


print(f"test accuracy:  {accuracy(expected):.1%}")
print(f"contribution:   {model.contribution.weights.round(2)}")

"""
## Saving, and loading on another backend

A `.keras` file has everything: layers, weights, the contribution, the
optimizer, the epoch. `keras.saving.load_model` reads it;
`keras_ff.models.load_model` checks the file before. The file knows no
backend: here another process, on another backend, loads it and predicts.
"""

model.save("digits.keras")
loaded = keras_ff.models.load_model("digits.keras")
same = np.array_equal(loaded.predict(x_test, verbose=0), expected)
print(f"the loaded model predicts the same: {same}")

script = """
import numpy as np
import keras_ff

model = keras_ff.models.load_model("digits.keras")
np.save("there.npy", model.predict(np.load("x_test.npy"), verbose=0))
"""
others = [
    name
    for name in ("torch", "jax", "tensorflow")
    if name != keras.backend.backend() and importlib.util.find_spec(name)
]
if others:
    np.save("x_test.npy", x_test)
    subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "KERAS_BACKEND": others[0]},
        check=True,
    )
    difference = np.abs(np.load("there.npy") - expected).max()
    print(f"{keras.backend.backend()} and {others[0]}: {difference:.1e} apart")

"""
## Exporting

An exported file holds the prediction alone and needs neither Keras nor
`keras_ff`. What Keras exports, by backend:

| format | TensorFlow | JAX | PyTorch |
|---|---|---|---|
| `"onnx"` | yes | yes | yes |
| `"tf_saved_model"` | yes | yes | |
| `"litert"` | yes | | with `litert-torch` |
| `"torch"` | | | yes |

**ONNX** runs nearly everywhere: in ONNX Runtime on servers and phones, in
browsers, in OpenVINO and TensorRT.
"""

import onnxruntime

model.export("digits.onnx", format="onnx", verbose=False)
session = onnxruntime.InferenceSession("digits.onnx")
(argument,) = session.get_inputs()
(actual,) = session.run(None, {argument.name: x_test})
print(f"ONNX Runtime: {np.abs(actual - expected).max():.1e} apart")

"""
**SavedModel** is for TensorFlow Serving; JAX writes it through TensorFlow.
"""

if keras.backend.backend() in ("tensorflow", "jax"):
    import tensorflow as tf

    model.export("digits_saved_model", verbose=False)
    served = tf.saved_model.load("digits_saved_model")
    actual = served.serve(tf.constant(x_test)).numpy()
    print(f"SavedModel:   {np.abs(actual - expected).max():.1e} apart")

"""
**LiteRT** (once TensorFlow Lite) is for phones and microcontrollers. The file
expects one sample at a time unless its input is resized.
"""

if keras.backend.backend() == "tensorflow":
    from ai_edge_litert.interpreter import Interpreter

    model.export("digits.tflite", format="litert", verbose=False)
    interpreter = Interpreter(model_path="digits.tflite")
    (argument,) = interpreter.get_input_details()
    (result,) = interpreter.get_output_details()
    interpreter.resize_tensor_input(argument["index"], x_test.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(argument["index"], x_test)
    interpreter.invoke()
    actual = interpreter.get_tensor(result["index"])
    print(f"LiteRT:       {np.abs(actual - expected).max():.1e} apart")

"""
A format that your backend lacks is refused by name. As a saved model loads on
every backend, load it on one that has the format.

## Truncating

Each layer has learned without the ones after it, so cutting these off leaves
a network that was trained exactly as if they had never been there. Only the
weights of the contribution are scaled, to sum to one again.
"""

for k in range(1, 5):
    small = model.truncate(k)
    size = small.count_params() / 1000
    found = accuracy(small.predict(x_test, verbose=0))
    print(f"{k} layers, {size:5.0f} thousand weights: {found:.1%}")

"""
`truncate` gives a model with weights of its own: compile it and train on,
save it, export it. `truncate("conv_3")` takes a name. Without an argument it
drops only the layers that contribute nothing, for instance those after the
range of `contributions.Interval`, so that it predicts the same.
"""

model.truncate(3).export("small.onnx", format="onnx", verbose=False)
sizes = [os.path.getsize(name) / 1e3 for name in ("digits.onnx", "small.onnx")]
print(f"ONNX files: {sizes[0]:.0f} kB and {sizes[1]:.0f} kB")

"""
## Early exit

Truncating is the same for all samples, yet some are harder than others. With
`predict_early_exit` a sample leaves at the first layer where the softmax of
its combined goodness passes a threshold, and later layers are computed for
the undecided only (LightFF, Aminifar et al., 2024,
[arXiv 2404.05241](https://arxiv.org/abs/2404.05241)).

Do not guess the threshold. Goodness has a scale of its own, which depends on
the method; and with `LossAware` the first layer has only its share of a total
weight of one, so 0.9 may never be reached. `calibrate_early_exit` finds the
smallest threshold that costs at most a given accuracy on labeled data that
was not trained on; predicting needs no labels.
"""

for loss in (0.0, 0.005, 0.01, 0.02):
    found = model.calibrate_early_exit(
        x_validation, y_validation, max_accuracy_loss=loss
    )
    predictions, layers_used = model.predict_early_exit(x_test, found.threshold)
    print(
        f"at most {loss:.1%} lost: threshold {found.threshold:.3f}, "
        f"validation {found.accuracy:.1%} with {found.mean_layers_used:.2f} "
        f"layers, test {accuracy(predictions):.1%} with "
        f"{layers_used.mean():.2f}"
    )

"""
How many layers did the test images need with the last threshold, and which
are the hard ones?
"""

figure, (left, *right) = plt.subplots(
    1, 7, figsize=(11, 2.8), width_ratios=[4, 1, 1, 1, 1, 1, 1]
)
layers = np.arange(1, 5)
left.bar(layers, [np.mean(layers_used == k) for k in layers])
left.set_xlabel("layers used")
left.set_ylabel("share of the test images")
left.set_xticks(layers)
ranking = np.argsort(layers_used, kind="stable")
for axes, i in zip(right, [*ranking[:3], *ranking[-3:]]):
    axes.imshow(x_test[i, ..., 0], cmap="gray_r")
    axes.set_title(f"a {y_test[i]}\n{layers_used[i]} layers", fontsize=9)
    axes.set_axis_off()
figure.tight_layout()
figure.savefig("early_exit.png", dpi=120)
print("written: early_exit.png")

"""
In our run nearly all digits leave at the second of four layers: such small
images are easy, and the first layer alone has too little to say. Early exit
saves layers, which is not the same as time: the first layers of a
convolutional network work on the largest maps and are computed for every
sample. `python -m benchmarks.early_exit` measures both.
"""
