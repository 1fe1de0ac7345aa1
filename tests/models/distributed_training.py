"""Tells how far training on several devices is from training on one.

Programs of their own: devices and processes are made before a backend starts.
The first argument is a folder for what is found; of several processes of JAX
there follow the port of the first and the number of this one, and what one
device trained is in the folder above.
"""

import contextlib
import json
import os
import pathlib
import sys
import time
import types

os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "")
    + f" --xla_force_host_platform_device_count={2 if sys.argv[2:] else 4}"
)

import keras
import numpy as np
from tiny_models import CLASSES
from tiny_models import data
from tiny_models import dense_model
from tiny_models import numpy

from keras_ff.callbacks import Backup
from keras_ff.callbacks import LocalLearningMonitor
from keras_ff.contributions import LossAware
from keras_ff.layers import CAWConv2D
from keras_ff.losses import LocalCrossentropy
from keras_ff.models import ForwardOnlyModel
from keras_ff.models.trainers import whole_weights

JAX = keras.backend.backend() == "jax"
FOLDER = pathlib.Path(sys.argv[1])
PROCESSES = 2 if sys.argv[2:] else 1
RANK = int(sys.argv[3]) if sys.argv[2:] else 0
DATA = data(17)
# Its last batch has one sample, too.
HELD_OUT = data(9, seed=1)
WEIGHTS = np.linspace(0, 2, 17).astype("float32")


class OneDevice:
    def scope(self):
        return contextlib.nullcontext()


if sys.argv[2:]:
    import jax

    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    keras.distribution.initialize(f"127.0.0.1:{sys.argv[2]}", PROCESSES, RANK)
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
        [tf.config.LogicalDeviceConfiguration()] * 4,
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
            "weights": whole(model),
            "logs": list(history.values()),
            # Fewer samples than devices.
            "evaluate": model.evaluate(*data(1), verbose=0),
            "predict": model.predict(HELD_OUT[0], batch_size=8, verbose=0),
            "goodness": model.goodness(HELD_OUT[0], batch_size=8),
            "early exit": [found.threshold, *left],
        }


def convolutions(devices):
    """What CAW-Conv learns in float16, with a sample that overflows there."""
    keras.utils.set_random_seed(3)
    noise = keras.initializers.RandomNormal(0.5, 0.5, seed=5)
    with devices.scope():
        model = ForwardOnlyModel(
            [
                keras.Input((6, 6, 2)),
                *[
                    CAWConv2D(
                        *(6, 3, CLASSES),
                        dropout=0.0,
                        temperature=2.0,
                        assignment_initializer=noise,
                        dtype="mixed_float16",
                    )
                    for _ in range(2)
                ],
            ]
        )
        model.compile(
            keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.02))
        )
        model.fit(
            *data(17, (6, 6, 2)),
            sample_weight=np.where(np.arange(17) == 4, 1e6, 1),
            batch_size=8,
            epochs=3,
            verbose=0,
        )
    return {
        "float16": whole(model),
        "loss scale": [numpy(model.optimizer.dynamic_scale)],
        "steps": [numpy(model.optimizer.iterations)],
    }


def strategies_refused(model):
    """What is said of strategies, which a real one needs a cluster for."""
    said = {}
    workers = types.SimpleNamespace(_in_multi_worker_mode=lambda: True)
    for name in ("ParameterServerStrategy", "MultiWorkerMirroredStrategy"):
        strategy = object.__new__(getattr(tf.distribute, name))
        strategy._extended = workers
        model._distribute_strategy = strategy
        try:
            model.compile()
        except ValueError as error:
            said[name] = str(error)
    return said


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
        monitor = LocalLearningMonitor(f"{folder}_logs", image_freq=0)
        # On TensorFlow outside of the strategy's scope.
        begun = backup.restore(model)
        model.fit(
            *DATA,
            batch_size=8,
            epochs=epochs,
            initial_epoch=begun,
            validation_data=HELD_OUT,
            callbacks=[monitor, backup],
            verbose=0,
        )
        return model

    def start():
        keras.utils.set_random_seed(3)
        with devices.scope():
            return made()

    with devices.scope() if JAX else contextlib.nullcontext():
        fit(start(), FOLDER / "stopped", 1)
        stopped = fit(start(), FOLDER / "stopped", 2)
        straight = fit(start(), FOLDER / "straight", 2)
    pairs = zip(whole(stopped), whole(straight))
    return max(float(np.abs(a - b).max()) for a, b in pairs)


def saved(devices):
    """How far a model is from itself, saved and loaded."""
    with devices.scope():
        model, found = train(devices)
        model.save(FOLDER / "model.keras")
        loaded = keras.saving.load_model(FOLDER / "model.keras")
        pairs = zip(whole(model), whole(loaded))
        return max(float(np.abs(a - b).max()) for a, b in pairs), found


def whole(model):
    with whole_weights(model):
        return [numpy(variable) for variable in model.weights]


def differences():
    """What is said if the processes are not about to do the same."""
    said = {}
    x, y = DATA

    with SEVERAL.scope():
        model = dense_model(1)

    def attempt(name, labels=y, samples=17, epochs=1, loss=None):
        model.compile("sgd", loss)
        try:
            model.fit(x[:samples], labels[:samples], epochs=epochs, verbose=0)
        except ValueError as error:
            said[name] = str(error)

    with SEVERAL.scope():
        attempt("labels", labels=(y + RANK) % 3)
        attempt("samples", samples=17 - RANK)
        attempt("epochs", epochs=1 + RANK)
        attempt("loss", loss=LocalCrossentropy(0.1 * RANK))
    return said


def from_datasets():
    """Validation that does not divide into whole batches."""
    from keras_ff import datasets
    from keras_ff import layers
    from keras_ff import models

    train, held_out, _ = datasets.load("digits", batch_size=500)
    with SEVERAL.scope():
        model = models.ForwardOnlyModel(
            [
                keras.Input((8, 8, 1)),
                keras.layers.Flatten(),
                layers.CAWDense(20, 10, dropout=0.0),
            ]
        )
        model.compile("sgd")
        return model.fit(train, validation_data=held_out, verbose=0).history


def died():
    """What a process says whose neighbor dies, and after how many seconds."""
    start = time.monotonic()
    leave = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: RANK and epoch and os._exit(1)
    )
    with SEVERAL.scope():
        model = made()
        backup = Backup(FOLDER / "died")
        try:
            model.fit(
                *DATA,
                validation_data=HELD_OUT,
                epochs=9,
                callbacks=[backup, leave],
                verbose=0,
            )
        except Exception as error:
            return error.__notes__, time.monotonic() - start


if PROCESSES == 1:
    model, one = train(OneDevice())
    listed = {
        name: [np.asarray(part).tolist() for part in parts]
        for name, parts in one.items()
    }
    (FOLDER / "one_device.json").write_text(json.dumps(listed))
else:
    one = json.loads((FOLDER.parent / "one_device.json").read_text())
model, several = train(SEVERAL)
message, moved = refused()
result = {
    "several": distance(several, one),
    "message": message,
    "moved": moved,
}
# JAX's devices of several processes are devices, too.
if PROCESSES > 1 or not JAX:
    result["resumed"] = resumed(SEVERAL)
if JAX:
    result["saved"], sharded = saved(SHARDED)
    result["sharded"] = distance(sharded, one)
if JAX and PROCESSES == 1:
    from distribution.graph_model import difference
    from distribution.graph_model import trained

    from benchmarks.measure.all_reduces import all_reduces
    from keras_ff.distribution import LayerParallel

    result["stages"] = difference(trained(), trained(LayerParallel()))
    with SEVERAL.scope():
        deep = dense_model(6)
        deep.compile("sgd")
        deep.fit(*data(8), verbose=0)
        names = [layer.name for layer in deep.local_layers]
        found = all_reduces(deep, *data(8), names)
        result["all-reduces"] = found.number, found.waits
elif JAX:
    result["differences"] = differences()
    result["datasets"] = from_datasets()
else:
    four = tf.distribute.MirroredStrategy(
        [f"CPU:{i}" for i in range(4)],
        # Rings of other sizes than before are not made in one process.
        tf.distribute.ReductionToOneDevice(),
    )
    one = convolutions(OneDevice())
    result["several"].update(distance(convolutions(four), one))
    result["scaled"] = [float(one[name][0]) for name in ("loss scale", "steps")]
    result["refused"] = strategies_refused(model)
place = FOLDER / f"{RANK}.json"
place.write_text(json.dumps(result))
if PROCESSES > 1:
    # The last: no process lives on without the others.
    result["died"] = died()
    place.write_text(json.dumps(result))
    os._exit(0)
