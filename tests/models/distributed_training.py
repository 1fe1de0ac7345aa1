"""Prints how far training on two devices is from training on one.

A process of its own: devices are made before a backend starts.
"""

import json
import os
from contextlib import nullcontext

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"

import keras
import numpy as np
from tiny_models import data
from tiny_models import dense_model
from tiny_models import numpy

BACKEND = keras.backend.backend()
if BACKEND == "tensorflow":
    import tensorflow as tf

    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0],
        [tf.config.LogicalDeviceConfiguration()] * 2,
    )


def train():
    keras.utils.set_random_seed(3)
    model = dense_model(layer_metrics=True)
    model.compile(optimizer=keras.optimizers.SGD(0.1))
    history = model.fit(
        *data(64),
        batch_size=16,
        epochs=3,
        shuffle=False,
        validation_data=data(32, seed=1),
        verbose=0,
    ).history
    return [numpy(v) for v in model.weights], history


one, one_history = train()
if BACKEND == "jax":
    keras.distribution.set_distribution(keras.distribution.DataParallel())
    devices = len(keras.distribution.list_devices())
    two, two_history = train()
else:
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    devices = strategy.num_replicas_in_sync
    with strategy.scope():
        two, two_history = train()


def refused():
    """The error for two wrong labels, and how far it moved the weights."""
    model = dense_model()
    model.compile(optimizer=keras.optimizers.SGD(0.1, momentum=0.9))
    x, y = data(16)
    # The first batch trains, the second has a wrong label for each device.
    model.fit(x, y, verbose=0)
    before = [numpy(v) for v in model.weights]
    y[[1, 14]] = 77
    message = ""
    try:
        model.fit(Batches(x, y), verbose=0)
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


with strategy.scope() if BACKEND == "tensorflow" else nullcontext():
    message, moved = refused()
print(
    json.dumps(
        {
            "devices": devices,
            "message": message,
            "moved": moved,
            "weights": max(
                float(np.abs(a - b).max()) for a, b in zip(one, two)
            ),
            "logs": max(
                abs(a - b)
                for key in one_history
                for a, b in zip(one_history[key], two_history[key])
            ),
        }
    )
)
