import functools
import os

import keras
import numpy as np
import pytest

import keras_ff
from keras_ff.callbacks import Backup


class Killed(BaseException):
    pass


def make_forward_only():
    keras.utils.set_random_seed(0)
    model = keras_ff.models.ForwardOnlyModel(
        [
            keras.Input((6,)),
            keras_ff.layers.CAWDense(10, num_classes=5, dropout=0.3),
            keras_ff.layers.CAWDense(10, num_classes=5),
        ],
        contribution=keras_ff.contributions.LossAware(),
    )
    model.compile(optimizer=keras.optimizers.AdamW(0.01))
    return model


def make_keras():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(5)])
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def data(seed):
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(24, 6)).astype("float32")
    return x, generator.integers(5, size=24)


def train(model, folder, epochs=4):
    """Returns the epoch that came first, the backup and Keras's history."""
    backup = Backup(folder)
    first = backup.restore(model)
    history = model.fit(
        keras_ff.datasets.ArrayBatches(data(0), 8),
        validation_data=data(1),
        epochs=epochs,
        initial_epoch=first,
        callbacks=[backup],
        shuffle=False,
        verbose=0,
    )
    return first, backup, history.history


def assert_same_state(model, other):
    for mine, its in zip(
        model.variables + model.optimizer.variables,
        other.variables + other.optimizer.variables,
        strict=True,
    ):
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(mine),
            keras.ops.convert_to_numpy(its),
            rtol=1e-5,
            atol=1e-6,
        )


def kill(monkeypatch, owner, name, call, done):
    """Kills at a call of a function, with half or all of its work done."""
    original = getattr(owner, name)
    calls = []

    def killing(*args, **kwargs):
        calls.append(args)
        if len(calls) < call:
            return original(*args, **kwargs)
        if done:
            original(*args, **kwargs)
        elif name == "save_weights":
            with open(args[-1], "wb") as file:
                file.write(b"half a file")
        raise Killed

    monkeypatch.setattr(owner, name, killing)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """By kind of model, one that was not interrupted and its history."""

    @functools.cache
    def train_whole(make):
        model = make()
        _, _, history = train(model, tmp_path_factory.mktemp("whole"))
        return model, history

    return train_whole


@pytest.mark.parametrize(
    "make, owner, name, call, done, kept",
    [
        (make_forward_only, keras.Model, "save_weights", 1, False, 0),
        (make_forward_only, keras.Model, "save_weights", 3, False, 2),
        (make_forward_only, os, "replace", 1, False, 0),
        (make_forward_only, os, "replace", 3, True, 3),
        (make_forward_only, os, "remove", 2, False, 3),
        (make_keras, keras.Model, "save_weights", 3, False, 2),
    ],
)
def test_killed_while_it_saves(
    make, owner, name, call, done, kept, whole, tmp_path, monkeypatch
):
    with monkeypatch.context() as patch:
        kill(patch, owner, name, call, done)
        with pytest.raises(Killed):
            train(make(), tmp_path)
    resumed = make()
    first, backup, _ = train(resumed, tmp_path)
    assert first == kept
    expected, history = whole(make)
    assert_same_state(resumed, expected)
    assert backup.history().keys() == history.keys()
    for key, values in history.items():
        np.testing.assert_allclose(
            backup.history()[key], values, rtol=1e-5, atol=1e-6
        )
    assert sorted(os.listdir(tmp_path)) == ["3.weights.h5", "backup.json"]


def test_finished_training_is_not_repeated(tmp_path):
    model, again = make_forward_only(), make_forward_only()
    train(model, tmp_path, epochs=2)
    first, _, _ = train(again, tmp_path, epochs=2)
    assert first == again.epoch == 2
    assert_same_state(again, model)


def test_remove(tmp_path):
    model = make_keras()
    _, backup, _ = train(model, tmp_path / "backup", epochs=1)
    backup.remove()
    assert not os.listdir(tmp_path)
    assert Backup(tmp_path / "backup").restore(model) == 0


def test_metrics_that_are_vectors(tmp_path):
    model = make_keras()
    model.compile(
        "adam",
        "categorical_crossentropy",
        metrics=[keras.metrics.F1Score(average=None)],
    )
    backup = Backup(tmp_path)
    x, y = data(0)
    y = keras.utils.to_categorical(y, 5)
    # Trained anew with the same backup, the first logs are gone.
    for _ in range(2):
        model.fit(x, y, epochs=1, callbacks=[backup], verbose=0)
    again = Backup(tmp_path)
    assert again.restore(model) == 1
    assert again.history() == backup.history()
    assert np.shape(again.history()["f1_score"]) == (1, 5)
