"""The space builds everywhere; searches run, fail and resume as documented."""

import errno
import functools
import gc
import importlib
import sys

import keras
import numpy as np
import pytest

keras_tuner = pytest.importorskip("keras_tuner")

from keras_tuner.errors import FatalRuntimeError  # noqa: E402
from keras_tuner.errors import FatalTypeError  # noqa: E402
from keras_tuner.errors import FatalValueError  # noqa: E402

import keras_ff  # noqa: E402
from keras_ff.callbacks import backup_folder  # noqa: E402
from keras_ff.tuners import ForwardOnlyHyperModel  # noqa: E402
from keras_ff.tuners import ReliableSearch  # noqa: E402
from keras_ff.tuners.reliable import keras_tuner_private  # noqa: E402

# Searches are the same on all backends; what a trial does to a model is not.
pytestmark = pytest.mark.only_on("torch")
every_backend = pytest.mark.only_on("tensorflow", "jax", "torch")

SHAPE, CLASSES = (8, 8, 1), 4
METHODS = keras_ff.methods.names()
COMMON = {
    "architecture",
    "method",
    "batch_size",
    "width_multiplier",
    "dropout",
    "learning_rate",
    "weight_decay",
}
OWN = {
    "caw": {
        "contribution",
        "label_smoothing",
        "temperature",
        "temperature_decay",
        "entropy",
        "orthogonality",
        "pooling_max",
        "pooling_min",
    },
    "cw": {"contribution", "label_smoothing"},
    "prototype": {
        "contribution",
        "margin",
        "scale",
        "prototypes_per_class",
        "embedding_size",
    },
    "projection": {"contribution", "label_smoothing"},
    "contrast": {
        "contribution",
        "label_smoothing",
        "contrast_weight",
        "contrast_temperature",
    },
    "predsim": {"contribution", "label_smoothing", "similarity_weight"},
    "deep_supervision": {"label_smoothing"},
    "backprop": {"label_smoothing"},
}


def data(size=32):
    rng = np.random.default_rng(0)
    y = rng.integers(0, CLASSES, size)
    x = rng.normal(size=(size, *SHAPE)) + y[:, None, None, None]
    return x.astype("float32"), y


def narrow(contribution=None, **fixed):
    """A space in which a network is built and compiled in no time."""
    space = keras_tuner.HyperParameters()
    space.Fixed("width_multiplier", 0.001)
    for name, value in fixed.items():
        space.Fixed(name, value)
    if contribution:
        space.Choice("method", ["projection"])
        space.Fixed(
            "contribution",
            contribution,
            parent_name="method",
            parent_values=["projection"],
        )
    return space


def test_hyperparameter_without_its_parent_is_refused():
    space = narrow()
    space.Fixed("temperature", 3.0)
    hypermodel = ForwardOnlyHyperModel(SHAPE, CLASSES, "mlp", "caw")
    with pytest.raises(FatalValueError) as error:
        hypermodel.build(space)
    message = str(error.value)
    assert "`temperature` is a hyperparameter of some methods only" in message
    assert "parent_values=['caw']" in message
    # As the message says.
    space = narrow()
    space.Choice("method", ["caw"])
    space.Fixed("temperature", 3.0, "method", ["caw"])
    model = hypermodel.build(space)
    assert all(layer.head.temperature == 3.0 for layer in model.local_layers)
    assert [p.name for p in space.space].count("temperature") == 1


class Small(ForwardOnlyHyperModel):
    """A dense network that is not compiled: a few batches are not worth it."""

    def __init__(self, method="projection"):
        super().__init__(SHAPE, CLASSES, "mlp", method)

    def build(self, hp):
        model = super().build(hp)
        model.run_eagerly = True
        return model


@pytest.fixture
def one_layer(monkeypatch):
    """Makes a trial last as short as it can."""
    mlp = functools.partial(keras_ff.applications.mlp, units=(4000,))
    monkeypatch.setattr(keras_ff.applications, "mlp", mlp)
    # KerasTuner does it twice a trial.
    monkeypatch.setattr(gc, "collect", lambda *args: 0)


class RandomSearch(ReliableSearch, keras_tuner.RandomSearch):
    pass


class Hyperband(ReliableSearch, keras_tuner.Hyperband):
    pass


class BayesianOptimization(ReliableSearch, keras_tuner.BayesianOptimization):
    pass


def test_method_decides_what_is_tuned():
    tuner = keras_tuner.RandomSearch(
        ForwardOnlyHyperModel(SHAPE, CLASSES, ["tiny_cnn"], METHODS),
        objective="val_accuracy",
        hyperparameters=narrow(),
        directory="unused",
        overwrite=False,
    )
    space = tuner.oracle.get_space()
    assert {hp.name for hp in space.space} == COMMON.union(*OWN.values())
    for method in METHODS:
        hp = space.copy()
        hp.values = {"method": method, "architecture": "tiny_cnn"}
        hp.ensure_active_values()
        assert set(hp.values) == COMMON | OWN[method]


def test_dense_layers_have_nothing_to_pool():
    hp = narrow()
    Small("caw").build(hp)
    assert set(hp.values) == COMMON | OWN["caw"] - {
        "pooling_max",
        "pooling_min",
    }


VALUES = {
    "caw": dict(
        temperature=3.0,
        temperature_decay=0.98,
        entropy=0.03,
        orthogonality=0.02,
        pooling_max=0.1,
        pooling_min=0.15,
        label_smoothing=0.05,
        contribution="interval",
    ),
    "cw": dict(label_smoothing=0.15, contribution="last"),
    "prototype": dict(
        margin=0.4,
        scale=9.0,
        prototypes_per_class=2,
        embedding_size=32,
        contribution="uniform",
    ),
    "projection": dict(label_smoothing=0.1, contribution="loss_aware"),
    "contrast": dict(
        label_smoothing=0.1,
        contribution="uniform",
        contrast_weight=0.5,
        contrast_temperature=0.4,
    ),
    "predsim": dict(
        label_smoothing=0.05, contribution="uniform", similarity_weight=9.0
    ),
    "deep_supervision": dict(label_smoothing=0.15),
    "backprop": dict(label_smoothing=0.2),
}


@pytest.mark.parametrize("method", METHODS)
def test_values_reach_the_model(method):
    hp = keras_tuner.HyperParameters()
    hp.values = {
        "method": method,
        "width_multiplier": 0.02,
        "dropout": 0.3,
        "learning_rate": 0.007,
        "weight_decay": 0.002,
        **VALUES[method],
    }
    given = dict(hp.values)
    model = ForwardOnlyHyperModel(SHAPE, CLASSES, "tiny_cnn", method).build(hp)
    assert {k: hp.values[k] for k in given} == given

    optimizer = model.optimizer
    assert float(optimizer.learning_rate) == pytest.approx(0.007)
    assert optimizer.weight_decay == 0.002
    if method == "prototype":
        assert (model.loss.margin, model.loss.scale) == (0.4, 9.0)
    else:
        assert model.loss.label_smoothing == VALUES[method]["label_smoothing"]
    if "contribution" not in VALUES[method]:
        assert not isinstance(model, keras_ff.models.ForwardOnlyModel)
        return
    contribution = VALUES[method]["contribution"].replace("_", "")
    assert type(model.contribution).__name__.lower() == contribution
    for layer in model.local_layers:
        head = layer.head
        rates = [
            part.rate
            for part in layer._flatten_layers()
            if isinstance(part, keras.layers.Dropout)
        ]
        assert rates == [0.3]
        if method == "caw":
            assert model.layers[-1].layer_clipnorm == 1.0
            assert head.temperature == 3.0
            assert head.temperature_decay == 0.98
            np.testing.assert_allclose(head.pooling, (0.9, 0.1, 0.15))
            scales = [r.factor for r in head.assignment_regularizers]
            assert scales == [0.03, 0.02]
        elif method == "prototype":
            assert head.prototypes.shape == (CLASSES, 2, 32)
        elif method == "contrast":
            (objective,) = layer.objectives
            assert (objective.weight, objective.temperature) == (0.5, 0.4)
        elif method == "predsim":
            assert [x.weight for x in layer.objectives] == [9.0]


def test_objectives_of_the_whitened_network():
    hp = keras_tuner.HyperParameters()
    hp.values = {"contrast_weight": 0.5, "width_multiplier": 0.05}
    hypermodel = ForwardOnlyHyperModel(
        SHAPE, CLASSES, "whitened_cnn", "contrast"
    )
    model = hypermodel.build(hp)
    weights = [x.weight for y in model.local_layers for x in y.objectives]
    assert weights == [0.5] * 6


def test_whitened_network_takes_its_whitening_from_the_training_images():
    hypermodel = ForwardOnlyHyperModel(
        SHAPE, CLASSES, ["tiny_cnn", "whitened_cnn"], ["caw", "prototype"]
    )
    hp = keras_tuner.HyperParameters()
    hp.values = {
        "architecture": "whitened_cnn",
        "method": "prototype",
        "width_multiplier": 0.05,
        "contribution": "uniform",
    }
    model = hypermodel.build(hp)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, *SHAPE)).astype("float32")
    # Those that validate are of another kind.
    x[30:] = 0.0
    history = hypermodel.fit(
        hp, model, x, np.arange(40) % 4, validation_split=0.25, verbose=0
    )
    assert np.isfinite(history.history["val_loss"]).all()
    reference = keras_ff.layers.Whitening2D(padding="same")
    reference.adapt(x[:30])
    np.testing.assert_allclose(
        np.abs(keras.ops.convert_to_numpy(model.layers[1].kernel)),
        np.abs(keras.ops.convert_to_numpy(reference.kernel)),
        rtol=1e-3,
    )


@pytest.mark.parametrize(
    "kind, options, trials",
    [
        pytest.param(
            *(RandomSearch, dict(max_trials=1), 1), marks=every_backend
        ),
        (BayesianOptimization, dict(max_trials=2, num_initial_points=1), 2),
        # Two brackets: 2 trials, the better one goes on; 2 trials.
        (Hyperband, dict(max_epochs=2, factor=2), 5),
    ],
)
def test_search(kind, options, trials, tmp_path, one_layer):
    tuner = kind(
        Small(),
        hyperparameters=narrow(batch_size=32, contribution="uniform"),
        seed=1,
        directory=tmp_path,
        max_consecutive_failed_trials=1,
        **options,
    )
    x, y = data()
    fixed = {} if kind is Hyperband else {"epochs": 1}
    tuner.search(
        x,
        y,
        validation_data=(x, y),
        verbose=0,
        callbacks=[keras.callbacks.EarlyStopping(patience=5)],
        **fixed,
    )
    found = tuner.oracle.trials.values()
    assert [trial.status for trial in found] == ["COMPLETED"] * trials
    assert not list(tmp_path.rglob("backup"))
    best = max(trial.score for trial in found)
    model = tuner.get_best_models()[0]
    result = model.evaluate(x, y, verbose=0, return_dict=True)
    assert result["accuracy"] == pytest.approx(best)


class Recorded(Small):
    """Remembers the epochs that were trained, and the histories."""

    def __init__(self, interrupt_in=None):
        super().__init__()
        self.interrupt_in = interrupt_in
        self.epochs = []
        self.histories = []

    def fit(self, hp, model, *args, callbacks=(), **kwargs):
        def begin(epoch, logs):
            if epoch == self.interrupt_in:
                raise KeyboardInterrupt
            self.epochs.append(epoch)

        callbacks = [
            *callbacks,
            keras.callbacks.LambdaCallback(on_epoch_begin=begin),
        ]
        history = super().fit(hp, model, *args, callbacks=callbacks, **kwargs)
        self.histories.append(history.history)
        return history


def test_epochs_of_the_space(tmp_path, one_layer):
    space = narrow(batch_size=32, epochs=2)
    hypermodel = Recorded()
    tuner = RandomSearch(
        hypermodel,
        hyperparameters=space,
        max_trials=1,
        directory=tmp_path / "random",
    )
    x, y = data()
    arguments = dict(x=x, y=y, validation_data=(x, y), verbose=0)
    tuner.search(epochs=5, **arguments)
    assert hypermodel.epochs == [0, 1]
    tuner = Hyperband(
        Small(),
        hyperparameters=space,
        max_epochs=2,
        directory=tmp_path / "hyperband",
    )
    with pytest.raises(FatalValueError, match="space with `epochs`"):
        tuner.search(**arguments)


def search(hypermodel, folder, epochs=3):
    keras.utils.set_random_seed(3)
    space = narrow(batch_size=32, learning_rate=0.1, weight_decay=1e-4)
    tuner = RandomSearch(
        hypermodel,
        hyperparameters=space,
        max_trials=1,
        seed=1,
        directory=folder,
    )
    x, y = data()
    tuner.search(x, y, validation_data=data(16), epochs=epochs, verbose=0)
    return tuner


@every_backend
def test_trial_goes_on_where_it_was_interrupted(tmp_path, one_layer):
    whole = Recorded()
    expected = search(whole, tmp_path / "whole").oracle.get_trial("0")
    first, second = Recorded(interrupt_in=2), Recorded()
    with pytest.raises(KeyboardInterrupt):
        search(first, tmp_path / "cut")
    backup = tmp_path / "cut" / "untitled_project" / "trial_0" / "backup"
    assert len(list(backup.glob("tuner0-*/backup.json"))) == 1
    tuner = search(second, tmp_path / "cut")
    assert (first.epochs, second.epochs) == ([0, 1], [2])
    assert list(tuner.oracle.trials) == ["0"]
    trial = tuner.oracle.get_trial("0")
    assert trial.status == "COMPLETED"
    assert trial.best_step == expected.best_step
    assert trial.score == pytest.approx(expected.score)
    assert second.histories[0].keys() == whole.histories[0].keys()
    for name, values in whole.histories[0].items():
        np.testing.assert_allclose(
            second.histories[0][name], values, rtol=1e-5, atol=1e-6
        )
    assert not backup.exists()


@pytest.mark.parametrize(
    "owner, epochs", [(backup_folder, [0, 1]), (keras_tuner_private, [0])]
)
def test_full_disk_ends_the_search_not_the_trial(
    owner, epochs, tmp_path, one_layer, monkeypatch
):
    def full(model, path):
        if first.epochs == epochs:
            raise OSError(errno.ENOSPC, "No space left on device", path)
        save_weights(model, path)

    first, second = Recorded(), Recorded()
    save_weights = owner.save_weights
    with monkeypatch.context() as patch:
        patch.setattr(owner, "save_weights", full)
        with pytest.raises(FatalRuntimeError, match="No space left"):
            search(first, tmp_path)
    tuner = search(second, tmp_path)
    assert first.epochs == epochs
    # The epoch whose files were not written is trained again.
    assert second.epochs == [0, 1, 2][epochs[-1] :]
    assert tuner.oracle.get_trial("0").status == "COMPLETED"


def test_failed_trial_shows_its_error_and_the_search_goes_on(
    tmp_path, capfd, one_layer
):
    x, y = data()
    options = dict(hyperparameters=narrow(batch_size=32), max_trials=2, seed=1)
    tuner = RandomSearch(Small(), directory=tmp_path / "on", **options)

    def stream():
        # The check of arrays cannot see the second batch's labels.
        yield x, y
        yield x, np.full_like(y, 99)

    def batches(batch_size):
        return stream(), (x, y)

    tuner.search(batches, epochs=1, steps_per_epoch=2, verbose=0)
    trials = tuner.oracle.trials.values()
    assert [trial.status for trial in trials] == ["FAILED", "FAILED"]
    assert all("99" in t.message for t in trials)
    assert "Traceback" in capfd.readouterr().err
    assert not list(tmp_path.rglob("backup"))

    tuner = RandomSearch(
        Small(),
        directory=tmp_path / "stop",
        max_consecutive_failed_trials=1,
        **options,
    )
    with pytest.raises(RuntimeError, match="consecutive failures(.|\n)*99"):
        tuner.search(batches, epochs=1, steps_per_epoch=2, verbose=0)


def test_data_from_a_function_has_the_batch_size_of_the_trial():
    asked = []

    def batches(batch_size):
        asked.append(batch_size)
        x, y = data(batch_size)
        return [(x, y)], (x, y), "not used"

    class Model:
        layers = ()

        def fit(self, **arguments):
            return arguments

    hp = narrow(batch_size=64)
    arguments = Small().fit(hp, Model(), batches, epochs=2)
    assert asked == [64]
    assert len(arguments["x"][0][1]) == 64
    assert len(arguments["validation_data"][1]) == 64
    x, y = data()
    arguments = Small().fit(hp, Model(), x, y, validation_split=0.5)
    assert arguments["batch_size"] == 64


X, Y = data(8)


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        (
            dict(x=keras.utils.PyDataset(), validation_data=(X, Y)),
            FatalTypeError,
            "must be arrays `x, y`, or a function .*x of type PyDataset",
        ),
        (
            dict(x=X, validation_data=(X, Y)),
            FatalTypeError,
            "x of type ndarray, y of type NoneType",
        ),
        (
            dict(x=lambda batch_size: X),
            FatalTypeError,
            r"must return \(train, validation\)",
        ),
        (dict(x=X, y=Y), FatalValueError, "compared on validation data"),
        (
            dict(x=lambda batch_size: (X, None)),
            FatalValueError,
            "compared on validation data",
        ),
        (
            dict(x=X, y=Y, validation_split=0.5, batch_size=8),
            FatalValueError,
            "batch size is a hyperparameter. Received: batch_size=8",
        ),
    ],
)
def test_data_that_cannot_be_searched_with(arguments, error, message):
    hp = narrow(batch_size=32)
    with pytest.raises(error, match=message):
        Small().fit(hp, None, **arguments)


@pytest.mark.parametrize(
    "architectures, methods, shape, message",
    [
        (
            ["lenet"],
            ["caw"],
            SHAPE,
            r"`architectures` must be some of \['mlp', 'resnet17', 'tiny_cnn'"
            r", 'vgg14', 'whitened_cnn'\]. Received: \['lenet'\]",
        ),
        (
            ["mlp"],
            ["caw", "hebbian"],
            SHAPE,
            r"`method` must be one of \['backprop', 'caw', .*hebbian'",
        ),
        ([], ["caw"], SHAPE, r"`architectures` .* Received: \[\]"),
        (["mlp"], [], SHAPE, "`methods` needs at least one"),
        (["mlp"], ["caw", "caw"], SHAPE, "two called 'caw'"),
        (
            ["tiny_cnn", "mlp"],
            ["caw", "cw"],
            SHAPE,
            r"Received: 'mlp', whose layers are of kind 'dense', with \['cw'\]",
        ),
        (
            ["tiny_cnn"],
            ["caw"],
            (64,),
            r"'tiny_cnn' needs images.*Received: input_shape=\(64,\)",
        ),
    ],
)
def test_spaces_that_do_not_exist(architectures, methods, shape, message):
    with pytest.raises(ValueError, match=message):
        ForwardOnlyHyperModel(shape, CLASSES, architectures, methods)


@pytest.mark.parametrize(
    "shape, classes, error, message",
    [
        (8, 10, TypeError, "input_shape=8"),
        (SHAPE, "10", ValueError, "num_classes='10'"),
    ],
)
def test_samples_that_do_not_exist(shape, classes, error, message):
    with pytest.raises(error, match=message):
        ForwardOnlyHyperModel(shape, classes, "mlp")


def test_missing_keras_tuner_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_tuner", None)
    monkeypatch.delitem(sys.modules, "keras_ff.tuners")
    with pytest.raises(ImportError, match=r"pip install \"keras_ff\[tune\]\""):
        importlib.import_module("keras_ff.tuners")
