"""What a saved, cloned or copied model keeps."""

import copy
import json
import os
import pathlib
import pickle
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest
from by_hand import BACKEND
from tiny_models import CLASSES
from tiny_models import FEATURES
from tiny_models import assert_close
from tiny_models import assert_same
from tiny_models import caw_dense
from tiny_models import data
from tiny_models import dense_block
from tiny_models import dense_model
from tiny_models import numpy
from tiny_models import optimizer_state
from tiny_models import rich_model
from tiny_models import state

from keras_ff.contributions import Interval
from keras_ff.contributions import LossAware
from keras_ff.losses import LocalCrossentropy
from keras_ff.models import ForwardOnlyModel
from keras_ff.models import load_model

pytestmark = pytest.mark.eager
once = pytest.mark.only_on("torch")

SCRIPT = pathlib.Path(__file__).with_name("continue_training.py")


def multi_optimizer():
    optimizers = keras.optimizers.OptimizerMap(keras.optimizers.Adam(0.01))
    optimizers[r"local_1/.*"] = keras.optimizers.SGD(0.05, momentum=0.9)
    return keras.optimizers.MultiOptimizer(optimizers)


def adamw():
    schedule = keras.optimizers.schedules.CosineDecay(0.01, 100)
    return keras.optimizers.AdamW(schedule, weight_decay=1e-3)


def dropout_model(**options):
    """Dropout with a seed and without one."""
    return ForwardOnlyModel(
        [
            keras.Input((FEATURES,)),
            keras.layers.GaussianNoise(0.1),
            dense_block("local_0", dropout=0.3, normalization="layer"),
            caw_dense("local_1", dropout=0.2),
        ],
        **options,
    )


def fit(model, epochs=1):
    model.fit(
        *data(24),
        batch_size=8,
        epochs=epochs,
        validation_data=data(12, seed=1),
        verbose=0,
    )


def compiled(model, optimizer=None):
    model.compile(optimizer=optimizer or adamw(), loss=LocalCrossentropy(0.1))
    return model


@pytest.mark.eager(False)
@pytest.mark.parametrize(
    "kind", ["dropout", pytest.param("multi_optimizer", marks=once)]
)
def test_loaded_model_is_the_same_and_trains_on_identically(kind, tmp_path):
    make = dropout_model if kind == "dropout" else rich_model
    optimizer = multi_optimizer() if kind == "multi_optimizer" else None
    model = compiled(
        make(contribution=LossAware(), layer_clipnorm=0.5, layer_metrics=True),
        optimizer,
    )
    fit(model, epochs=2)
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")

    assert type(loaded) is ForwardOnlyModel
    assert_same(state(loaded), state(model))
    assert_same(optimizer_state(loaded), optimizer_state(model))
    assert loaded.epoch == 2
    assert [layer.name for layer in loaded.local_layers] == [
        layer.name for layer in model.local_layers
    ]
    readout = loaded.get_layer("readout")
    assert readout.layer_clipnorm == 0.5
    assert readout.layer_metrics
    assert loaded.loss.label_smoothing == pytest.approx(0.1)
    x, y = data(12, seed=2)
    assert_same([loaded.predict(x, verbose=0)], [model.predict(x, verbose=0)])
    assert_same([loaded.goodness(x)], [model.goodness(x)])
    assert loaded.evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)

    fit(model)
    fit(loaded)
    assert loaded.epoch == 3
    assert_close(state(loaded), state(model), rtol=1e-6, atol=1e-7)
    assert_close(
        optimizer_state(loaded), optimizer_state(model), rtol=1e-5, atol=1e-7
    )


def test_keras_own_load_model_reads_the_file(tmp_path):
    model = compiled(rich_model())
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is ForwardOnlyModel
    assert_same(state(loaded), state(model))


def test_model_saved_before_compile_and_training(tmp_path):
    model = dense_model(contribution=Interval())
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    assert not loaded.compiled
    assert isinstance(loaded.contribution, Interval)
    x, _ = data(5)
    assert_same([loaded.predict(x, verbose=0)], [model.predict(x, verbose=0)])
    uncompiled = load_model(tmp_path / "model.keras", compile=False)
    assert_same(state(uncompiled), state(model))


@pytest.mark.parametrize("jit_compile", ["auto", False])
def test_whether_to_compile_is_saved_as_it_was_given(jit_compile):
    # What "auto" means differs: PyTorch would compile for minutes what JAX
    # saved, JAX would run uncompiled what TensorFlow or PyTorch saved.
    model = dense_model()
    model.compile(optimizer="sgd", jit_compile=jit_compile)
    config = json.loads(json.dumps(model.get_compile_config()))
    assert config["jit_compile"] == jit_compile
    expected = keras.Sequential()
    expected.compile(optimizer="sgd", jit_compile=jit_compile)
    model.compile_from_config(config)
    assert model.jit_compile == expected.jit_compile


@once
def test_weights_file(tmp_path):
    model = compiled(rich_model(contribution=LossAware()))
    fit(model)
    model.save_weights(tmp_path / "model.weights.h5")
    other = compiled(rich_model(contribution=LossAware()))
    x, _ = data(5)
    assert np.abs(other.goodness(x) - model.goodness(x)).max() > 1e-3
    other.load_weights(tmp_path / "model.weights.h5")
    assert_same(state(other), state(model))
    assert other.epoch == 1
    assert_same([other.predict(x, verbose=0)], [model.predict(x, verbose=0)])


def options_of(model):
    readout = model.get_layer("readout")
    return (
        type(model.contribution),
        model.contribution.get_config(),
        readout.layer_clipnorm,
        readout.layer_metrics,
        [layer.name for layer in model.local_layers],
    )


def branched_model(**options):
    # Keras's clones keep the name of an input only if it was given.
    inputs = keras.Input((FEATURES,), name="inputs")
    x, first = dense_block("local_0")(inputs)
    y, second = caw_dense("local_1")(x)
    _, third = dense_block("local_2")(keras.layers.Add()([x, y]))
    return ForwardOnlyModel(
        inputs, [third, first, second], name="branched", **options
    )


OPTIONS = dict(
    contribution=LossAware("training"), layer_clipnorm=0.25, layer_metrics=True
)


def test_clone_has_the_same_configuration_and_its_own_weights():
    model = branched_model(**OPTIONS)
    clone = keras.models.clone_model(model)
    assert type(clone) is ForwardOnlyModel
    assert options_of(clone) == options_of(model)
    assert options_of(clone)[4] == ["local_2", "local_0", "local_1"]
    assert json.dumps(clone.get_config()) == json.dumps(model.get_config())
    assert clone.contribution is not model.contribution
    x, y = data(8)
    predictions = [m.predict(x, verbose=0) for m in (clone, model)]
    assert np.abs(np.subtract(*predictions)).max() > 1e-3
    before = state(model)
    compiled(clone)
    clone.fit(x, y, verbose=0)
    assert_same(state(model), before)
    assert np.abs(clone.contribution.weights - 1 / 3).max() > 1e-4


def test_config_round_trip():
    model = branched_model(**OPTIONS)
    again = ForwardOnlyModel.from_config(model.get_config())
    assert options_of(again) == options_of(model)
    assert again.name == model.name == "branched"
    again.set_weights(model.get_weights())
    x, _ = data(5)
    assert_same([again.goodness(x)], [model.goodness(x)])
    # Also by way of a file of text.
    text = json.dumps(model.get_config())
    read = ForwardOnlyModel.from_config(json.loads(text))
    assert json.dumps(read.get_config()) == text


@once
@pytest.mark.parametrize(
    "duplicate",
    [
        copy.deepcopy,
        pytest.param(
            lambda model: pickle.loads(pickle.dumps(model)), marks=once
        ),
    ],
    ids=["deepcopy", "pickle"],
)
def test_copies_are_equal_and_independent(duplicate):
    model = compiled(rich_model(**OPTIONS), keras.optimizers.SGD(0.1))
    fit(model)
    twin = duplicate(model)
    assert options_of(twin) == options_of(model)
    assert_same(state(twin), state(model))
    assert_same(optimizer_state(twin), optimizer_state(model))
    before = state(model)
    batch = data(8)
    twin.train_on_batch(*batch)
    assert_same(state(model), before)
    assert np.abs(state(twin)[0] - before[0]).max() > 1e-4
    model.train_on_batch(*batch)
    assert_close(state(twin), state(model), rtol=1e-6, atol=1e-7)


@pytest.mark.eager(False)
def test_another_backend_loads_predicts_and_trains_on_alike(tmp_path):
    # In a ring, every backend saves for one and loads from one.
    other = {"tensorflow": "jax", "jax": "torch", "torch": "tensorflow"}[
        BACKEND
    ]
    pytest.importorskip(other)
    x, y = data(20)
    np.savez(tmp_path / "data.npz", x=x, y=y)
    optimizers = keras.optimizers.OptimizerMap(adamw())
    optimizers[r"local_1/.*"] = keras.optimizers.SGD(0.05, momentum=0.9)
    # Without dropout, whose masks are each backend's own.
    model = ForwardOnlyModel(
        [
            keras.Input((FEATURES,)),
            keras.layers.BatchNormalization(center=False, scale=False),
            dense_block("local_0", normalization="layer"),
            caw_dense("local_1", dropout=0.0),
        ],
        contribution=LossAware("training"),
        layer_clipnorm=0.7,
    )
    compiled(model, keras.optimizers.MultiOptimizer(optimizers))
    model.fit(x, y, batch_size=8, epochs=2, verbose=0)
    path = tmp_path / "model.keras"
    model.save(path)
    before = model.predict(x, verbose=0)
    model.fit(x, y, batch_size=8, epochs=2, verbose=0)
    after = model.predict(x, verbose=0)
    assert np.abs(after - before).max() > 0.05

    run = subprocess.run(
        [sys.executable, SCRIPT, tmp_path / "data.npz", path],
        env={**os.environ, "KERAS_BACKEND": other},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    with np.load(f"{path}.{other}.npz") as there:
        assert int(there["epoch"]) == 4
        assert int(there["iterations"]) == model.optimizer.iterations == 12
        np.testing.assert_allclose(
            there["before"], before, rtol=1e-5, atol=1e-5
        )
        # The same batches, so that only round-off differs.
        np.testing.assert_allclose(there["after"], after, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(
            there["contribution"], model.contribution.weights, atol=1e-4
        )


# === Files that cannot be loaded ===


@pytest.fixture(scope="module")
def saved_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("file") / "model.keras"
    dense_model().save(path)
    return path


@once
def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file .*nothing.keras"):
        load_model(tmp_path / "nothing.keras")


@once
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_truncated_file(share, saved_file, tmp_path):
    content = saved_file.read_bytes()
    path = tmp_path / "model.keras"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match="not a complete .keras file"):
        load_model(path)


@once
@pytest.mark.parametrize("position", np.linspace(0, 0.999, 24))
def test_corrupted_file(position, saved_file, tmp_path):
    content = bytearray(saved_file.read_bytes())
    start = int(position * len(content))
    for i in range(start, min(start + 16, len(content))):
        content[i] ^= 0xFF
    path = tmp_path / "model.keras"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="not a complete .keras file"):
        load_model(path)


@once
def test_foreign_files(tmp_path):
    path = tmp_path / "model.keras"
    path.write_text("This is no model.")
    with pytest.raises(ValueError, match="not a complete .keras file"):
        load_model(path)
    np.savez(path.with_suffix(".npz"), x=np.zeros(3))
    with pytest.raises(ValueError, match="not a complete .keras file"):
        load_model(path.with_suffix(".npz"))
    with pytest.raises(ValueError, match="format not supported"):
        load_model(tmp_path)


@once
@pytest.mark.parametrize("members", [1, 50])
def test_absurd_sizes_are_refused_before_unpacking(members, tmp_path):
    # 40 MB of zeros, in one member or in many.
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", "{}")
        for i in range(members):
            archive.writestr(f"{i}.h5", bytes(40_000_000 // members))
    with pytest.raises(ValueError, match="declares 4000000.*nothing of it"):
        load_model(path)


@once
def test_file_that_was_compressed_by_hand(saved_file, tmp_path):
    path = tmp_path / "model.keras"
    with (
        zipfile.ZipFile(saved_file) as source,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for name in source.namelist():
            archive.writestr(name, source.read(name))
    assert isinstance(load_model(path), ForwardOnlyModel)


@once
@pytest.mark.parametrize("name", ["model.h5", "model.hdf5"])
def test_legacy_format_is_refused(name, tmp_path):
    with pytest.raises(ValueError, match=f"HDF5 .*{name}.*'.keras'"):
        dense_model().save(tmp_path / name)
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="HDF5 .*model 'forward.*'.keras'"):
        keras.saving.save_model(dense_model(), tmp_path / name)


@once
def test_file_of_another_model(tmp_path):
    stock = keras.Sequential(
        [keras.Input((FEATURES,)), keras.layers.Dense(CLASSES)]
    )
    stock.save(tmp_path / "model.keras")
    with pytest.raises(TypeError, match="Received: a Sequential"):
        load_model(tmp_path / "model.keras")


def test_numbers_survive_in_full(tmp_path):
    model = dense_model()
    kernel = model.trainable_variables[0]
    kernel.assign(np.nextafter(numpy(kernel), np.float32(np.inf)))
    model.epoch = 123
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    assert_same([numpy(loaded.trainable_variables[0])], [numpy(kernel)])
    assert loaded.epoch == 123
