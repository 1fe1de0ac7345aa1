"""Keras's callbacks do with a forward-only model what they are there for."""

import csv
import pathlib
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest
from tiny_models import FEATURES
from tiny_models import assert_close
from tiny_models import assert_same
from tiny_models import data
from tiny_models import dense_block
from tiny_models import dense_model
from tiny_models import numpy
from tiny_models import optimizer_state
from tiny_models import rich_model
from tiny_models import state
from tiny_models import twin

from keras_ff.contributions import LossAware
from keras_ff.models import DeepSupervisionModel
from keras_ff.models import ForwardOnlyModel
from keras_ff.models import load_model

pytestmark = pytest.mark.eager


def fit(model, callbacks, epochs=3, size=24, **kwargs):
    x, y = data(size)
    return model.fit(
        x,
        y,
        batch_size=8,
        epochs=epochs,
        validation_data=data(16, seed=1),
        callbacks=callbacks,
        verbose=0,
        **kwargs,
    ).history


class Recorder(keras.callbacks.Callback):
    """Keeps the weights from after every epoch."""

    def __init__(self):
        super().__init__()
        self.weights = []

    def on_epoch_end(self, epoch, logs=None):
        self.weights.append([numpy(w) for w in self.model.weights])


def test_checkpoints_logs_and_schedules(tmp_path):
    pytest.importorskip("tensorboard")
    recorder = Recorder()
    rates = []
    model = dense_model(contribution=LossAware())
    model.compile(optimizer=keras.optimizers.SGD(0.1))
    history = fit(
        model,
        [
            recorder,
            keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 / 2**epoch),
            keras.callbacks.LambdaCallback(
                on_epoch_end=lambda epoch, logs: rates.append(
                    float(numpy(model.optimizer.learning_rate))
                )
            ),
            keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras"),
            keras.callbacks.ModelCheckpoint(
                tmp_path / "{epoch}.weights.h5", save_weights_only=True
            ),
            keras.callbacks.ModelCheckpoint(
                tmp_path / "best.keras",
                monitor="val_loss",
                save_best_only=True,
            ),
            keras.callbacks.TensorBoard(tmp_path / "board"),
            keras.callbacks.CSVLogger(tmp_path / "log.csv"),
        ],
    )
    np.testing.assert_allclose(rates, [0.1, 0.05, 0.025])
    np.testing.assert_allclose(history["learning_rate"], rates)

    with open(tmp_path / "log.csv") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3
    for i, row in enumerate(rows):
        assert set(row) == {"epoch", *history}
        for key in history:
            assert float(row[key]) == pytest.approx(history[key][i])

    for i, expected in enumerate(recorder.weights):
        saved = load_model(tmp_path / f"{i + 1}.keras")
        assert_same([numpy(w) for w in saved.weights], expected)
        assert saved.epoch == i + 1
        blank = dense_model(contribution=LossAware())
        blank.load_weights(tmp_path / f"{i + 1}.weights.h5")
        assert_same([numpy(w) for w in blank.weights], expected)
    best = load_model(tmp_path / "best.keras")
    assert_same(
        [numpy(w) for w in best.weights],
        recorder.weights[np.argmin(history["val_loss"])],
    )
    assert list((tmp_path / "board" / "train").glob("events*"))
    assert list((tmp_path / "board" / "validation").glob("events*"))


@pytest.mark.only_on("torch")
def test_early_stopping_restores_the_best_epoch():
    recorder = Recorder()
    model = dense_model(contribution=LossAware())
    model.compile(optimizer=keras.optimizers.SGD(0.1))
    # The second epoch is better than the first, the later ones are ruined.
    schedule = keras.callbacks.LearningRateScheduler(
        lambda epoch: 0.1 if epoch < 2 else 30.0
    )
    stopping = keras.callbacks.EarlyStopping(
        monitor="val_loss", patience=2, restore_best_weights=True
    )
    history = fit(model, [recorder, schedule, stopping], epochs=9)
    best = int(np.argmin(history["val_loss"]))
    assert (best, len(history["loss"])) == (1, 4)
    assert_same([numpy(w) for w in model.weights], recorder.weights[best])
    # The contribution is that of the best epoch, too, and predicts.
    x, y = data(16, seed=1)
    assert model.evaluate(x, y, verbose=0)[0] == pytest.approx(
        history["val_loss"][best], rel=1e-5
    )
    goodness = model.goodness(x)
    expected = np.einsum("l,nlk->nk", model.contribution.weights, goodness)
    assert_close([model.predict(x, verbose=0)], [expected])


def test_reduce_learning_rate_on_plateau():
    model = dense_model()
    model.compile(optimizer=keras.optimizers.SGD(0.1))
    history = fit(
        model,
        [
            keras.callbacks.ReduceLROnPlateau(
                monitor="val_loss", factor=0.5, patience=1, min_delta=100.0
            )
        ],
        epochs=4,
    )
    np.testing.assert_allclose(
        history["learning_rate"], [0.1, 0.1, 0.05, 0.025]
    )


class Interrupt(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise InterruptedError


@pytest.mark.only_on("torch")
@pytest.mark.eager(False)
def test_backup_and_restore_resumes_as_if_not_interrupted(tmp_path):
    start = rich_model(contribution=LossAware())

    def run(callbacks, epochs=4):
        model = twin(start)
        model.compile(optimizer=keras.optimizers.AdamW(0.01))
        fit(model, callbacks, epochs=epochs)
        return model

    whole = run([])
    backup = keras.callbacks.BackupAndRestore(tmp_path)
    with pytest.raises(InterruptedError):
        run([backup, Interrupt(2)])
    resumed = run([keras.callbacks.BackupAndRestore(tmp_path)])
    assert resumed.epoch == 4
    assert_close(state(resumed), state(whole))
    assert_close(optimizer_state(resumed), optimizer_state(whole))
    # A second, plain `fit` starts anew at epoch 0 of its own.
    assert len(fit(resumed, [], epochs=2)["loss"]) == 2
    assert resumed.epoch == 6


def test_terminate_on_nan_leaves_the_error_that_names_the_layer():
    model = dense_model()
    model.compile(optimizer=keras.optimizers.SGD(0.1))
    x, y = data(24)
    x[3] = np.nan
    with pytest.raises(ValueError, match="'local_0' became NaN"):
        model.fit(
            x,
            y,
            batch_size=8,
            epochs=3,
            verbose=0,
            callbacks=[keras.callbacks.TerminateOnNaN()],
        )
    assert model.stop_training
    for value in state(model):
        assert np.isfinite(value).all()


def test_a_callback_list_of_ones_own():
    model = dense_model(contribution=LossAware("training"))
    model.compile(optimizer=keras.optimizers.SGD(0.1))
    recorder = Recorder()
    callbacks = keras.callbacks.CallbackList(
        [recorder], add_history=True, model=model, epochs=2
    )
    before = model.contribution.weights
    model.fit(*data(16), epochs=2, verbose=0, callbacks=callbacks)
    assert len(recorder.weights) == 2
    assert model.epoch == 2
    assert np.abs(model.contribution.weights - before).max() > 0


def test_callbacks_see_the_state_from_after_the_epoch():
    seen = []
    model = ForwardOnlyModel(
        [keras.Input((FEATURES,)), dense_block("a"), dense_block("b")],
        contribution=LossAware(),
    )
    model.compile(optimizer=keras.optimizers.SGD(0.1))
    callback = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(
            (model.epoch, *model.contribution.weights)
        )
    )
    fit(model, callback, epochs=2)
    assert [entry[0] for entry in seen] == [1, 2]
    assert_same([np.array(seen[1][1:])], [model.contribution.weights])
    assert seen[0][1:] != (0.5, 0.5) and seen[0][1:] != seen[1][1:]


class InterruptBatch(keras.callbacks.Callback):
    """Interrupts the batch of a number, from 0, before or after it."""

    def __init__(self, event, number):
        super().__init__()
        self.number = number
        setattr(self, event, self.interrupt)

    def interrupt(self, batch, logs=None):
        if batch == self.number:
            raise KeyboardInterrupt


# On JAX the first batch finds the weights in the variables, others do not.
@pytest.mark.parametrize(
    "number", [pytest.param(0, marks=pytest.mark.only_on("jax")), 1]
)
@pytest.mark.parametrize("when", ["begin", "end"])
@pytest.mark.parametrize("method", ["fit", "evaluate", "predict"])
def test_interrupted_model_keeps_its_weights(method, when, number):
    model = dense_model()
    model.compile(optimizer=keras.optimizers.SGD(0.1))
    x, y = data()
    model.fit(x, y, batch_size=8, verbose=0)
    before = state(model)
    event = "train" if method == "fit" else method.replace("evaluate", "test")
    arguments = [x] if method == "predict" else [x, y]
    with pytest.raises(KeyboardInterrupt):
        getattr(model, method)(
            *arguments,
            batch_size=8,
            verbose=0,
            callbacks=[InterruptBatch(f"on_{event}_batch_{when}", number)],
        )
    if method != "fit":
        assert_same(state(model), before)
    assert np.isfinite(model.fit(x, y, verbose=0).history["loss"][0])


@pytest.mark.eager(False)
def test_step_that_fails_keeps_the_weights():
    model = dense_model()
    model.compile(optimizer=keras.optimizers.SGD(0.1))
    x, y = data()
    model.fit(x, y, verbose=0)
    before = [numpy(v) for v in model.trainable_variables]
    x = np.zeros((len(x), x.shape[1] + 1), "float32")
    for use in (model.fit, model.evaluate):
        # Keras's error on JAX and PyTorch, the graph's on TensorFlow.
        with pytest.raises(Exception, match="shape|size"):
            use(x, y, verbose=0)
        assert_same([numpy(v) for v in model.trainable_variables], before)


@pytest.fixture
def interrupts(monkeypatch):
    """Ctrl-C right before or after a step on JAX, of a number from 0."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    steps = {}

    def patch(name, when, number):
        make = getattr(keras.Model, f"make_{name}")

        def made(self, force=False):
            make(self, force)
            function = getattr(self, name)

            def step(state, iterator):
                count = steps[name] = steps.get(name, -1) + 1
                if (when, number) == ("before", count):
                    signal.raise_signal(signal.SIGINT)
                result = function(state, iterator)
                if (when, number) == ("after", count):
                    signal.raise_signal(signal.SIGINT)
                return result

            setattr(self, name, step)

        monkeypatch.setattr(keras.Model, f"make_{name}", made)

    yield patch
    signal.signal(signal.SIGINT, previous)


@pytest.mark.only_on("jax")
@pytest.mark.parametrize(
    "name, when, number, steps",
    [
        ("train_function", "before", 0, 0),
        ("train_function", "after", 0, 1),
        ("train_function", "before", 4, 4),
        ("train_function", "after", 4, 5),
        ("test_function", "after", 0, 3),
        ("predict_function", "after", 1, 0),
    ],
)
def test_interrupt_between_a_step_and_the_storing_of_its_values(
    interrupts, name, when, number, steps
):
    x, y = data()

    def make():
        keras.utils.set_random_seed(1)
        model = dense_model()
        optimizer = keras.optimizers.SGD(0.1, use_ema=True)
        model.compile(optimizer=optimizer)
        return model

    expected = make()
    for i in range(steps):
        batch = slice(8 * (i % 3), 8 * (i % 3) + 8)
        expected.train_on_batch(x[batch], y[batch])
    expected.optimizer.build(expected.trainable_variables)
    model = make()
    interrupts(name, when, number)
    with pytest.raises(KeyboardInterrupt):
        if name == "predict_function":
            model.predict(x, batch_size=8, verbose=0)
        else:
            model.fit(
                x,
                y,
                batch_size=8,
                epochs=2,
                verbose=0,
                shuffle=False,
                validation_data=(x, y) if name == "test_function" else None,
            )
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if steps:
        # Keras ends an interrupted `fit` with the averages, too.
        expected.optimizer.finalize_variable_values(expected.trainable_weights)
    assert_close(
        [numpy(v) for v in model.trainable_variables],
        [numpy(v) for v in expected.trainable_variables],
    )
    if name != "predict_function":
        assert int(model.optimizer.iterations) == steps
    for variable in model.variables + model.optimizer.variables:
        assert np.isfinite(numpy(variable)).all(), variable.path
    model.fit(x, y, verbose=0)


def test_fit_goes_on_after_an_error_in_a_callback_with_averaged_weights():
    model = dense_model()
    model.compile(optimizer=keras.optimizers.SGD(0.1, use_ema=True))
    x, y = data()

    def fail(batch, logs):
        if batch == 1:
            raise RuntimeError("of the callback")

    with pytest.raises(RuntimeError, match="of the callback"):
        model.fit(
            x,
            y,
            batch_size=8,
            verbose=0,
            callbacks=[keras.callbacks.LambdaCallback(on_train_batch_end=fail)],
        )
    for _ in range(2):
        history = model.fit(x, y, verbose=0).history
        assert np.isfinite(history["loss"][0])
    for value in state(model):
        assert np.isfinite(value).all()


def train(model, x, y):
    model.fit(x, y, batch_size=8, verbose=0)


def predict(model, x, y):
    model.predict(x, verbose=0)


def goodness(model, x, y):
    model.goodness(x, batch_size=8)


def early_exit(model, x, y):
    model.predict_early_exit(x, threshold=1.0, batch_size=8)


@pytest.mark.only_on("jax")
@pytest.mark.parametrize(
    "run, name, end_to_end",
    [
        (goodness, "predict_function", False),
        (early_exit, "predict_function", False),
        (train, "train_function", True),
        (predict, "predict_function", True),
    ],
)
def test_interrupt_of_other_models(interrupts, run, name, end_to_end):
    x, y = data()
    model = dense_model()
    if end_to_end:
        inputs = keras.Input(x.shape[1:])
        outputs = [keras.layers.Dense(3)(inputs) for _ in range(2)]
        model = DeepSupervisionModel(inputs, outputs)
        model.compile(keras.optimizers.SGD(0.0, use_ema=True))
    before = [numpy(v) for v in model.weights]
    interrupts(name, "after", 0)
    with pytest.raises(KeyboardInterrupt):
        run(model, x, y)
    assert_same([numpy(v) for v in model.weights], before)
    run(model, x, y)


@pytest.mark.eager(False)
def test_averaged_weights_when_every_step_overflows():
    keras.config.set_dtype_policy("mixed_float16")
    averaging = keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5)
    scaling = keras.optimizers.LossScaleOptimizer(averaging, initial_scale=1e30)
    model = dense_model()
    model.compile(scaling)
    before = [numpy(v) for v in model.trainable_variables]
    x, y = data()
    model.fit(x, y, verbose=0)
    assert int(averaging.iterations) == 0
    assert_same([numpy(v) for v in model.trainable_variables], before)
    # With a scale that serves it trains.
    scaling.dynamic_scale.assign(128.0)
    model.fit(x, y, verbose=0)
    assert int(averaging.iterations) > 0
    for value, start in zip(model.trainable_variables, before):
        assert 0 < np.abs(numpy(value) - start).max() < 1


@pytest.mark.parametrize("wrap", ["plain", "loss scaling", "several"])
def test_an_error_before_the_first_step_leaves_averaged_weights(wrap):
    def fail(epoch, logs):
        raise RuntimeError("of the callback")

    averaging = [keras.optimizers.SGD(0.1, use_ema=True) for _ in range(2)]
    optimizer = averaging[0]
    if wrap == "loss scaling":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    elif wrap == "several":
        optimizer = keras.optimizers.MultiOptimizer(
            lambda variable: averaging["local_0" in variable.path]
        )
    x, y = data()
    model = dense_model()
    model.compile(optimizer)
    before = [numpy(v) for v in model.trainable_variables]
    with pytest.raises(RuntimeError, match="of the callback"):
        callback = keras.callbacks.LambdaCallback(on_epoch_begin=fail)
        model.fit(x, y, verbose=0, callbacks=[callback])
    assert_same([numpy(v) for v in model.trainable_variables], before)
    # So does a batch that cannot be trained on.
    with pytest.raises(ValueError, match="NaN"):
        model.fit(x + float("nan"), y, verbose=0)
    assert_same([numpy(v) for v in model.trainable_variables], before)


@pytest.mark.only_on("jax")
def test_process_ends_after_interrupts_at_any_time():
    script = pathlib.Path(__file__).parent / "interrupted_training.py"
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == ["12", "interrupts"]
