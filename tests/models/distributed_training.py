"""Prints how far training on several devices is from training on one.

A process of its own: devices are made before a backend starts.
"""

import contextlib
import json
import os
import sys
import tempfile

os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "")
    + " --xla_force_host_platform_device_count=4"
)

import keras
import numpy as np
from tiny_models import data
from tiny_models import dense_model
from tiny_models import numpy

from keras_ff.callbacks import Backup
from keras_ff.contributions import LossAware
from keras_ff.losses import LocalCrossentropy

BACKEND = keras.backend.backend()
JAX = BACKEND == "jax"
DATA = data(17)
HELD_OUT = data(13, seed=1)
WEIGHTS = np.linspace(0, 2, 17).astype("float32")


class OneDevice:
    def scope(self):
        return contextlib.nullcontext()


if JAX:
    from keras.distribution import DataParallel
    from keras.distribution import DeviceMesh
    from keras.distribution import LayoutMap
    from keras.distribution import ModelParallel

    SEVERAL = DataParallel()
    SHARDED = DeviceMesh((2, 2), ("batch", "model"))
    LAYOUT = LayoutMap(SHARDED)
    LAYOUT[".*dense.*kernel"] = (None, "model")
    SHARDED = ModelParallel(layout_map=LAYOUT, batch_dim_name="batch")
else:
    import tensorflow as tf

    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0],
        [tf.config.LogicalDeviceConfiguration()] * 2,
    )
    SEVERAL = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def made(**options):
    model = dense_model(layer_metrics=True, contribution=LossAware(), **options)
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9),
        LocalCrossentropy(reduction="mean_with_sample_weight"),
    )
    return model


def train(devices):
    """Trains with a last batch of one sample, and looks at the model."""
    keras.utils.set_random_seed(3)
    with devices.scope():
        model = made(layer_clipnorm=0.05)
        history = model.fit(
            *DATA,
            sample_weight=WEIGHTS,
            batch_size=8,
            epochs=3,
            validation_data=HELD_OUT,
            verbose=0,
        ).history
        found = model.calibrate_early_exit(*HELD_OUT, batch_size=8)
        left = model.predict_early_exit(HELD_OUT[0], found.threshold, 8)
        return model, {
            "weights": model.get_weights(),
            "logs": list(history.values()),
            # Fewer samples than devices.
            "evaluate": model.evaluate(*data(1), verbose=0),
            "predict": model.predict(HELD_OUT[0], batch_size=8, verbose=0),
            "goodness": model.goodness(HELD_OUT[0], batch_size=8),
            "early exit": [found.threshold, *left],
        }


def distance(found, expected):
    return {
        name: max(
            float(np.abs(np.asarray(a) - np.asarray(b)).max())
            for a, b in zip(found[name], expected[name], strict=True)
        )
        for name in expected
    }


def refused():
    """The error for two wrong labels, and how far it moved the weights."""
    x, y = data(16)
    y[[1, 14]] = 77
    with SEVERAL.scope():
        model = made()
        before = [numpy(v) for v in model.weights]
        message = ""
        try:
            model.fit(Batches(x, y), validation_data=HELD_OUT, verbose=0)
        except ValueError as error:
            message = str(error)
    pairs = [
        (numpy(v), old) for v, old in zip(model.weights, before) if v.trainable
    ]
    return message, max(float(np.abs(a - b).max()) for a, b in pairs)


class Batches(keras.utils.PyDataset):
    def __init__(self, *arrays):
        super().__init__()
        self.arrays = arrays

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return self.arrays


def resumed(devices):
    """How far a training that was stopped ends from one that was not."""

    def fit(model, folder, epochs):
        backup = Backup(folder)
        # On TensorFlow outside of the strategy's scope.
        begun = backup.restore(model)
        model.fit(
            *DATA,
            batch_size=8,
            epochs=epochs,
            initial_epoch=begun,
            validation_data=HELD_OUT,
            callbacks=[backup],
            verbose=0,
        )
        return model

    def start():
        keras.utils.set_random_seed(3)
        with devices.scope():
            return made()

    with tempfile.TemporaryDirectory() as folder:
        with devices.scope() if JAX else contextlib.nullcontext():
            fit(start(), f"{folder}/stopped", 1)
            stopped = fit(start(), f"{folder}/stopped", 2)
            straight = fit(start(), f"{folder}/straight", 2)
    pairs = zip(stopped.get_weights(), straight.get_weights())
    return max(float(np.abs(a - b).max()) for a, b in pairs)


def saved(devices):
    """How far a model is from itself, saved and loaded."""
    with tempfile.TemporaryDirectory() as folder, devices.scope():
        model, found = train(devices)
        model.save(f"{folder}/model.keras")
        loaded = keras.saving.load_model(f"{folder}/model.keras")
        pairs = zip(model.get_weights(), loaded.get_weights())
        return max(float(np.abs(a - b).max()) for a, b in pairs), found


model, one = train(OneDevice())
model, several = train(SEVERAL)
message, moved = refused()
result = {
    "several": distance(several, one),
    "message": message,
    "moved": moved,
    "resumed": resumed(SEVERAL),
}
if JAX:
    from benchmarks.measure.all_reduces import all_reduces

    result["saved"], sharded = saved(SHARDED)
    result["sharded"] = distance(sharded, one)
    with SEVERAL.scope():
        deep = dense_model(6)
        deep.compile("sgd")
        deep.fit(*data(8), verbose=0)
        names = [layer.name for layer in deep.local_layers]
        found = all_reduces(deep, *data(8), names)
        result["all-reduces"] = found.number, found.waits
else:
    server = object.__new__(tf.distribute.ParameterServerStrategy)
    try:
        model._distribute_strategy = server
        model.compile()
    except ValueError as error:
        result["server"] = str(error)
with open(sys.argv[1], "w") as file:
    json.dump(result, file)
