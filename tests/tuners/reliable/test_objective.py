"""An objective that is not logged is refused before it costs anything."""

import keras
import numpy as np
import pytest

keras_tuner = pytest.importorskip("keras_tuner")

import keras_ff  # noqa: E402
from keras_ff.tuners import ReliableSearch  # noqa: E402
from keras_ff.tuners.reliable.logged_names import logged_names  # noqa: E402

pytestmark = pytest.mark.only_on("torch")

X = np.zeros((8, 2), "float32")
Y = np.arange(8) % 3
VALIDATED = dict(validation_data=(X, Y))


def build(hp):
    hp.Float("rate", 0.1, 0.2)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, metrics=["accuracy"])
    return model


class Search(ReliableSearch, keras_tuner.RandomSearch):
    fits = 0

    def on_trial_begin(self, trial):
        self.fits += 1
        super().on_trial_begin(trial)


def search(folder, objective, hypermodel=build, **arguments):
    tuner = Search(
        hypermodel,
        objective=keras_tuner.Objective(objective, "max"),
        max_trials=1,
        directory=folder,
    )
    try:
        tuner.search(X, Y, verbose=0, **arguments)
    finally:
        fits.append(tuner.fits)


fits = []


@pytest.mark.parametrize("objective", ["val_acc", "accuracies", "val_val_loss"])
def test_refused_before_the_first_trial(objective, tmp_path):
    with pytest.raises(
        ValueError,
        match=f"objective {objective} is not logged.*Logged: .*"
        "val_accuracy.*Give `objective` one",
    ) as error:
        search(tmp_path, objective, **VALIDATED)
    assert "val_loss" in str(error.value)
    assert fits.pop() == 0
    assert not list(tmp_path.rglob("*.json"))


def test_refused_after_the_first_epoch_without_validation(tmp_path):
    with pytest.raises(
        ValueError, match="objective val_accuracy .* need validation data"
    ):
        search(tmp_path, "val_accuracy", epochs=5)
    assert fits.pop() == 1


class Scores(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        logs["score"] = 0.5


class OwnFit(keras_tuner.HyperModel):
    def build(self, hp):
        return build(hp)

    def fit(self, hp, model, *args, **kwargs):
        super().fit(hp, model, *args, **kwargs)
        return {"score": 0.5}


@pytest.mark.parametrize(
    "objective, arguments",
    [
        ("loss", {}),
        ("accuracy", {}),
        ("val_accuracy", VALIDATED),
        ("score", dict(callbacks=[Scores()])),
        ("score", dict(hypermodel=OwnFit())),
        ("val_loss", dict(VALIDATED, validation_freq=2, epochs=2)),
    ],
)
def test_logged_objective_is_searched_by(objective, arguments, tmp_path):
    search(tmp_path, objective, **arguments)
    assert fits.pop() == 1


def test_several_objectives(tmp_path):
    tuner = Search(
        build,
        objective=[
            keras_tuner.Objective("val_loss", "min"),
            keras_tuner.Objective("val_auc", "max"),
        ],
        max_trials=1,
        directory=tmp_path,
    )
    with pytest.raises(ValueError, match="objective val_auc is not"):
        tuner.search(X, Y, verbose=0, **VALIDATED)
    assert tuner.fits == 0


def regression():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    model.compile("sgd", "mse", metrics=["mae"])
    return model


def forward_only():
    model = keras_ff.models.ForwardOnlyModel(
        [keras.Input((2,)), keras_ff.layers.CAWDense(6, 3)]
    )
    model.compile("sgd")
    return model


def of_any_size():
    model = keras.Sequential(
        [keras.Input((None, 2)), keras.layers.GlobalAveragePooling1D()]
    )
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize(
    "make, names",
    [
        (regression, {"loss", "mae"}),
        (forward_only, {"loss", "accuracy"}),
        (of_any_size, None),
    ],
)
def test_logged_names(make, names):
    logged = logged_names(make())
    if names is None:
        assert logged is None
    else:
        assert set(logged) == names | {f"val_{name}" for name in names}
