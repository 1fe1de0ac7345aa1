"""
Title: Learning on the device
Author: The keras_ff authors
Date created: 2026/11/28
Last modified: 2026/11/28
Description: A model learns on where there is no Keras, forgets, and comes back.
Accelerator: None
"""

"""
## What you will learn

A trained model is put into a device whose camera sits on its side: every image
comes turned by a quarter. Instead of new images for the desk, the device learns
from what it sees, in LiteRT, which it has for predicting anyway. You will

- export a model with its training by `keras_ff.export_training`,
- let a process without Keras learn from turned digits, batch by batch,
- count what that makes it forget, at lower rates and with a few old images,
- bring the weights back by `keras_ff.import_training`, and see what it cost.

It takes about a minute on a CPU, on any backend. Besides `keras_ff` it needs
TensorFlow (which converts the model), `ai-edge-litert`, scikit-learn and
matplotlib.

## At the desk

Scikit-learn's digits are 1797 images of 8 x 8 pixels: 900 to train with, 500
that the device will see, and 397 for tests. Why turned, and not written by
somebody else? The data do not say who wrote which digit, and a digit fills its
image, so that a shift would cut it off. A quarter turn loses no pixel, and a
network that saw none is left at guessing.
"""

import json
import os
import pathlib
import subprocess
import sys

import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

import keras_ff

keras.utils.set_random_seed(0)
epochs = int(os.environ.get("GUIDE_EPOCHS", 20))

digits = load_digits()
images = digits.images[..., None].astype("float32") / 16
labels = digits.target
order = np.random.default_rng(0).permutation(len(images))
train, seen, test = order[:900], order[900:1400], order[1400:]


def turned(x):
    return np.rot90(x, axes=(1, 2))


def block(filters, *more, name):
    parts = [keras.layers.Conv2D(filters, 3, padding="same"), *more]
    return keras_ff.layers.LocalBlock(
        [*parts, keras.layers.ReLU()],
        keras_ff.layers.GoodnessProjection(10, pooling="flatten"),
        normalization="layer",
        name=name,
    )


model = keras_ff.models.ForwardOnlyModel(
    [
        keras.Input((8, 8, 1)),
        block(16, keras.layers.MaxPooling2D(2), name="first"),
        block(32, name="second"),
    ]
)
model.compile(keras.optimizers.SGD(0.05, momentum=0.9))
model.fit(images[train], labels[train], batch_size=50, epochs=epochs, verbose=0)
for name, x in ("upright", images[test]), ("turned", turned(images[test])):
    loss, accuracy = model.evaluate(x, labels[test], verbose=0)
    print(f"{name:8} {accuracy:.1%}")

"""
## Exporting how it learns

One program for each local layer, one for the whole model, and the weights
beside them. Each program was run and compared with TensorFlow before it was
written. The size of a batch and the optimizer are chosen here; the learning
rate can be changed on the device.
"""

keras_ff.export_training(
    model,
    "exported",
    batch_size=20,
    optimizer=keras.optimizers.SGD(0.03, momentum=0.9),
)
for file in sorted(pathlib.Path("exported").iterdir()):
    print(f"{file.stat().st_size / 1000:5.0f} kB  {file.name}")

"""
## On the device

This is all of the app's program: `LiteRTTrainer`, NumPy, and no Keras, which
its first lines make sure of. Images come in batches of 20, each is seen once.
With replay half a batch is old: chosen from 100 images of the desk, 10 a class,
that the app has with it (as bytes they take 6.4 kB).

An app would not evaluate after every batch; here it makes the curves below.
"""

script = """
import json
import pathlib
import sys
import time

sys.modules["keras"] = sys.modules["tensorflow"] = None

import numpy as np

from keras_ff.device import LiteRTTrainer


def learn(name, rate, old_of_20):
    trainer = LiteRTTrainer("exported", weights=f"{name}.npz", num_threads=1)
    trainer.learning_rate = rate
    random = np.random.default_rng(0)
    curves, seconds, new = [], 0.0, 20 - old_of_20
    for start in range(0, len(data["x"]), new):
        x, y = (data[key][start : start + new] for key in "xy")
        old = random.choice(len(data["old_x"]), old_of_20, replace=False)
        x = np.concatenate([x, data["old_x"][old]])
        y = np.concatenate([y, data["old_y"][old]])
        began = time.perf_counter()
        trainer.train_on_batch(x, y)
        seconds += time.perf_counter() - began
        curves.append(
            [
                trainer.evaluate(data[test], data["test_y"])["accuracy"]
                for test in ("upright", "turned")
            ]
        )
    trainer.save()
    return {
        "seen": list(range(new, len(data["x"]) + 1, new)),
        "curves": curves,
        "ms": 1000 * seconds / len(curves) / 20,
        "loss": trainer.evaluate(data["turned"], data["test_y"])["loss"],
    }


data = np.load("data.npz")
found = {name: learn(name, *how) for name, how in json.load(sys.stdin).items()}
status = pathlib.Path("/proc/self/status")
if status.exists():
    lines = status.read_text().splitlines()
    (peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM"))
    found["peak"] = int(peak) / 1024
print(json.dumps(found))
"""

old = np.concatenate([train[labels[train] == k][:10] for k in range(10)])
np.savez(
    "data.npz",
    x=turned(images[seen]),
    y=labels[seen],
    old_x=images[old],
    old_y=labels[old],
    upright=images[test],
    turned=turned(images[test]),
    test_y=labels[test],
)
ways = {
    "rate 0.03": (0.03, 0),
    "rate 0.01": (0.01, 0),
    "rate 0.003": (0.003, 0),
    "replay": (0.03, 10),
}
done = subprocess.run(
    [sys.executable, "-c", script],
    input=json.dumps(ways),
    capture_output=True,
    check=True,
    text=True,
)
found = json.loads(done.stdout)
print("accuracy    upright  turned  steps")
for way in ways:
    upright, sideways = found[way]["curves"][-1]
    steps = len(found[way]["curves"])
    print(f"{way:11} {upright:7.1%} {sideways:7.1%} {steps:6}")

"""
## What it forgot
"""

figure, (top, *axes) = plt.subplots(
    1, 3, figsize=(11, 3.2), width_ratios=[1, 2, 2]
)
shown = np.pad(images[test[:3]], ((0, 0), (1, 1), (1, 1), (0, 0)))
pairs = np.concatenate([shown, turned(shown)], axis=2)
top.imshow(np.concatenate(pairs)[..., 0], cmap="gray_r")
top.set_title("desk, device")
top.set_axis_off()
for side, (axis, title) in enumerate(zip(axes, ("upright", "turned"))):
    for way in ways:
        curve = [100 * point[side] for point in found[way]["curves"]]
        axis.plot(found[way]["seen"], curve, label=way)
    axis.set_title(f"test images, {title}")
    axis.set_xlabel("turned images seen")
    axis.set_ylabel("accuracy (%)")
    axis.set_ylim(0, 100)
axes[0].legend()
figure.tight_layout()
figure.savefig("learning_on_the_device.png", dpi=120)

"""
Learning layer by layer does not protect from forgetting: nobody had asked for
upright digits, so at the full rate they are lost while the turned ones are
learned. In our run a third of the rate learned as much and kept two of three
upright digits; a tenth kept three of four, but had hardly begun to learn. The
rate has to be tried, and none of these keeps what was known.

A hundred old images nearly do. With replay the model keeps most of what it
knew, and it learns the new better, too. Not all of this is replay's merit: as
half of each batch is old, it takes twice as many steps for the same 500
images. `guides/continual_and_few_labels.py` counts forgetting with new classes,
beside backpropagation.

One seed, and digits that are small. Measure on your own data, and keep some
of the old to measure on.

## Back into Keras

The file of weights is what comes back from the device. In Keras the model
evaluates as there, and its optimizer goes on where the device stopped.
"""

trained = keras_ff.import_training("exported", weights="replay.npz")
loss, accuracy = trained.evaluate(turned(images[test]), labels[test], verbose=0)
print(f"device: {found['replay']['loss']:.5f}")
print(f"Keras:  {loss:.5f}, accuracy {accuracy:.1%}")

"""
## What it costs
"""

size = os.path.getsize("replay.npz") / 1000
programs = sum(f.stat().st_size for f in pathlib.Path("exported").glob("*lite"))
print(f"training a sample: {found['rate 0.03']['ms']:.2f} ms, one thread")
print(f"programs: {programs / 1000:.0f} kB, weights: {size:.0f} kB")
if "peak" in found:
    print(f"peak memory of the process: {found['peak']:.0f} MB")

"""
Nearly all of the memory is Python, NumPy and LiteRT, so it says little of a
larger model. In general the peak is that of the largest layer, not of their
sum, for only one program is open at a time: 64 convolutions of 32 x 32 images
take 1.04 times the memory of 4.
[docs/on_the_device.md](../docs/on_the_device.md) has the table, the calls of
Kotlin and C++, and what cannot be exported.

`export_training(..., float16=True)` makes the weights half as large, and
`int8=True` adds a program that predicts faster, with the weights of the export.

## Where to go next

- `examples/federated.py`: three devices, each with digits of its own, average
  what they learned.
- `guides/saving_exporting_early_exit.py`: export for prediction alone.
"""
