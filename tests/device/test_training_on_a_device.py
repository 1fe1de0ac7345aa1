"""What a device learns in LiteRT is what `fit` learns, layer for layer."""

import json
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
from device.own_layers import Scaled
from models.tiny_models import CLASSES
from models.tiny_models import assert_close
from models.tiny_models import numpy

import keras_ff
from keras_ff import layers
from keras_ff.models import ForwardOnlyModel

pytest.importorskip("tensorflow")
pytest.importorskip("ai_edge_litert")

ROOT = pathlib.Path(__file__).parents[2]
SCRIPT = pathlib.Path(__file__).with_name("train_without_keras.py")
SHAPE = (8, 8, 2)
BATCH, STEPS = 4, 50
NOISE = {"assignment_initializer": keras.initializers.RandomNormal(0.5, 0.3)}


def many_kinds():
    """A graph of many kinds of layer, with a shortcut and a frozen layer."""
    head = layers.GoodnessProjection
    inputs = keras.Input(SHAPE)
    x = keras.layers.Rescaling(0.5)(inputs)
    x, a = layers.CAWConv2D(
        4, 3, CLASSES, padding="same", dropout=0, temperature=2.0, **NOISE
    )(x)
    shortcut = keras.layers.MaxPooling2D(2)(x)
    x, b = layers.LocalBlock(
        [
            # A bias would have no gradient but rounding errors.
            keras.layers.Conv2D(4, 3, 2, padding="same", use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.DepthwiseConv2D(2, padding="same", activation="elu"),
            keras.layers.MaxPooling2D(2, strides=1, padding="same"),
            keras.layers.Conv2D(4, 1, kernel_regularizer="l2"),
            keras.layers.AveragePooling2D(2, strides=1, padding="same"),
        ],
        layers.HypersphericalPrototypes(CLASSES, 2, pooling=2),
        normalization="layer",
    )(x)
    x = keras.layers.Add()([x, shortcut])
    x, c = layers.CWConv2D(6, 2, CLASSES, dropout=0)(x)
    frozen = layers.LocalBlock(
        keras.layers.Conv2D(3, 1, activation="gelu"),
        head(CLASSES, pooling="flatten"),
        normalization="rms",
    )
    frozen.trainable = False
    x, d = frozen(x)
    x = keras.layers.Flatten()(x)
    _, e = layers.CAWDense(6, CLASSES, dropout=0, **NOISE)(x)
    return ForwardOnlyModel(inputs, [b, a, c, d, e], layer_clipnorm=1.0)


def samples(shape=SHAPE, seed=0):
    random = np.random.default_rng(seed)
    y = random.integers(0, CLASSES, BATCH * STEPS)
    x = random.normal(size=(BATCH * STEPS, *shape)) + y.reshape(
        -1, *[1] * len(shape)
    )
    return {
        "x": x.astype("float32"),
        "y": y,
        "sample_weight": random.uniform(0.2, 2, len(y)).astype("float32"),
    }


def fit_and_train(model, folder, data, **options):
    """Trains a model with `fit`, and what was exported of it in LiteRT."""
    path = folder / "exported"
    keras_ff.export_training(model, path, batch_size=BATCH, **options)
    np.savez(folder / "data.npz", **data)
    subprocess.run(
        [sys.executable, SCRIPT, path, "data.npz", "result.npz"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=folder,
        check=True,
    )
    model.fit(
        data["x"],
        data["y"],
        sample_weight=data["sample_weight"],
        batch_size=BATCH,
        shuffle=False,
        verbose=0,
    )
    trained = keras_ff.import_training(path)
    assert len(trained.variables) == len(model.variables)
    apart = {
        v.path: np.abs(numpy(v) - numpy(other)).max()
        for v, other in zip(model.variables, trained.variables)
        if "seed" not in v.path
    }
    assert max(apart.values()) < 1e-4, apart
    return trained, np.load(folder / "result.npz"), path


@pytest.mark.only_on("tensorflow")
def test_fifty_steps_of_many_kinds_of_layer(tmp_path):
    model, data = many_kinds(), samples()
    loss = keras_ff.losses.LocalCrossentropy(label_smoothing=0.1)
    model.compile(keras.optimizers.Adam(0.01), loss)
    trained, result, path = fit_and_train(model, tmp_path, data)
    some = data["x"][: BATCH + 1], data["y"][: BATCH + 1]
    # A batch and a sample more.
    assert_close(
        [result["prediction"], result["goodness"]],
        [model.predict(some[0], verbose=0), model.goodness(some[0])],
        rtol=1e-3,
        atol=1e-4,
    )
    # What comes back evaluates as on the device.
    evaluated = trained.evaluate(*some, verbose=0)
    np.testing.assert_allclose(result["evaluated"], evaluated, rtol=1e-4)
    assert result["losses"][-5:].mean() < result["losses"][:5].mean()
    assert_close(
        [numpy(v) for v in trained.optimizer.variables],
        [numpy(v) for v in model.optimizer.variables],
        rtol=1e-3,
        atol=1e-4,
    )
    # Of the five layers the frozen one alone changes nothing.
    manifest = json.loads((path / "training.json").read_text())
    states = {entry["name"]: entry["states"] for entry in manifest["layers"]}
    assert [n for n, state in states.items() if not state] == ["local_block_1"]


# JAX has it exported by the same process of TensorFlow as PyTorch has.
@pytest.mark.parametrize(
    "optimizer",
    [
        pytest.param("sgd", marks=pytest.mark.only_on("torch")),
        pytest.param("momentum", marks=pytest.mark.only_on("tensorflow")),
    ],
)
def test_here_and_in_a_process_of_tensorflow(optimizer, tmp_path):
    model = ForwardOnlyModel(
        [
            keras.Input((5,)),
            *[
                layers.LocalBlock(
                    [keras.layers.Dense(5), Scaled()],
                    layers.GoodnessProjection(CLASSES),
                    normalization="rms",
                )
                for _ in range(3)
            ],
        ]
    )
    model.compile(
        keras.optimizers.SGD(0.01, 0.9 if optimizer == "momentum" else 0.0),
        keras_ff.losses.SmoothMarginLoss(margin=0.25, scale=2.0),
    )
    _, result, path = fit_and_train(
        model, tmp_path, samples((5,)), optimizer=optimizer
    )
    assert np.isfinite(result["losses"]).all()
    # Layers that are alike share a program; the last hands nothing on.
    assert len(list(path.glob("train_*.tflite"))) == 2
