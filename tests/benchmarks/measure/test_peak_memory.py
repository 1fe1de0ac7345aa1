import keras
import numpy as np
import pytest

import keras_ff
from benchmarks.measure.memory import peak_memory

BATCH = 32
ACTIVATION = BATCH * 8 * 8 * 16 * 4  # Bytes.


def caw():
    return keras_ff.layers.CAWConv2D(16, 3, num_classes=2, padding="same")


def block():
    """Layers of Keras's, which know masks."""
    parts = [
        keras.layers.Conv2D(16, 3, padding="same"),
        keras.layers.BatchNormalization(),
        keras.layers.ReLU(),
        keras.layers.Dropout(0.1),
    ]
    return keras_ff.layers.LocalBlock(
        parts, keras_ff.layers.GoodnessProjection(2)
    )


def conv():
    return keras.layers.Conv2D(16, 3, padding="same", activation="relu")


def stack(depth, layer):
    """Layers of 8 x 8 x 16, trained locally or by backpropagation."""
    layers = [keras.Input((8, 8, 1)), *(layer() for _ in range(depth))]
    if layer is not conv:
        return keras_ff.models.ForwardOnlyModel(layers)
    head = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)]
    return keras.Sequential(layers + head)


def step_bytes(depth, layer):
    x = np.random.default_rng(0).normal(size=(BATCH, 8, 8, 1))
    y = np.arange(BATCH) % 2
    model = stack(depth, layer)
    model.compile("sgd", keras_ff.losses.LocalCrossentropy())
    model.train_on_batch(x, y)
    return peak_memory(
        model, keras.ops.convert_to_tensor(x, "float32"), np.int32(y)
    )


@pytest.mark.skipif(
    keras.backend.backend() == "tensorflow",
    reason="TensorFlow counts memory if told to at its import; see test_demo",
)
def test_backpropagation_keeps_every_activation():
    deep, shallow = step_bytes(6, conv), step_bytes(2, conv)
    assert deep.bytes - shallow.bytes >= 4 * ACTIVATION
    assert deep.what


@pytest.mark.skipif(
    keras.backend.backend() != "torch",
    reason="what XLA and TensorFlow keep is their scheduler's choice",
)
@pytest.mark.parametrize("layer", [caw, block])
def test_local_steps_keep_one_layer(layer):
    deep, shallow = step_bytes(6, layer), step_bytes(2, layer)
    assert abs(deep.bytes - shallow.bytes) < ACTIVATION


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="of TensorFlow"
)
def test_what_tensorflow_does_not_count_is_called_not_measured(monkeypatch):
    import tensorflow as tf

    monkeypatch.setattr(
        tf.config.experimental,
        "get_memory_info",
        lambda device: {"current": 0, "peak": 0},
    )
    measured = step_bytes(1, caw)
    assert measured.bytes is None
    assert measured.what.startswith("not measured")
