"""Event files are read back with TensorBoard's own reader."""

import copy
import sys

import keras
import numpy as np
import pytest

import keras_ff
from keras_ff import layers
from keras_ff.callbacks import LocalLearningMonitor
from keras_ff.contributions import LossAware
from keras_ff.models import ForwardOnlyModel

pytestmark = pytest.mark.only_on("torch")
every_backend = pytest.mark.only_on("tensorflow", "jax", "torch")

X = np.random.default_rng(0).normal(size=(24, 5)).astype("float32")
Y = np.arange(24) % 3
NOISE = keras.initializers.RandomNormal(0.5, 5.0, seed=5)


def make_model(layer_metrics=True):
    """One layer with an assignment, one with two prototypes a class."""
    model = ForwardOnlyModel(
        [
            keras.Input((5,)),
            layers.CAWDense(
                6, 3, assignment_initializer=NOISE, temperature=2.0, name="caw"
            ),
            layers.PrototypeDense(
                6,
                num_classes=3,
                embedding_size=4,
                prototypes_per_class=2,
                name="hff",
            ),
        ],
        contribution=LossAware(),
        layer_metrics=layer_metrics,
    )
    model.compile(
        optimizer=keras.optimizers.SGD(0.1),
        # Tracing takes longer than these trainings.
        run_eagerly=keras.backend.backend() == "tensorflow",
    )
    return model


class Recorder(keras.callbacks.Callback):
    """Keeps what the monitor ought to have written, by other means."""

    def __init__(self):
        super().__init__()
        self.scalars = {}

    def on_epoch_end(self, epoch, logs=None):
        caw, hff = self.model.local_layers
        rows = numpy(caw.head.shares()).astype("float64")
        temperature = numpy(caw.head.current_temperature())
        weights = self.model.contribution.weights
        nearest = []
        unit = numpy(hff.head.unit_prototypes())
        for k, own in enumerate(unit):
            others = np.delete(unit, k, axis=0).reshape(-1, 4)
            nearest += list(np.degrees(np.arccos((own @ others.T).max(1))))
        expected = {
            "contribution/caw": weights[0],
            "contribution/hff": weights[1],
            "temperature/caw": temperature,
            "entropy/caw": np.mean(
                [-(row * np.log(row)).sum() / np.log(3) for row in rows]
            ),
            "specialization/caw": np.mean([max(row) for row in rows]),
            "separation/hff": np.mean(nearest),
        }
        for name in ("caw", "hff"):
            for key in ("loss", "accuracy"):
                value = logs.get(f"{name}_{key}")
                if value is not None:
                    expected[f"local_{key}/{name}"] = value
        for tag, value in expected.items():
            self.scalars.setdefault(tag, []).append((epoch + 1, float(value)))


class Crash(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        if epoch + 1 == self.epoch:
            raise KeyboardInterrupt


def numpy(tensor):
    return np.array(keras.ops.convert_to_numpy(tensor))


def fit(model, callbacks, epochs=2, **kwargs):
    return model.fit(
        X,
        Y,
        batch_size=12,
        epochs=epochs,
        validation_data=(X[:12], Y[:12]),
        callbacks=callbacks,
        verbose=0,
        **kwargs,
    ).history


def read(folder):
    """The scalars of a folder as `(step, value)` lists, and the reader."""
    from tensorboard.backend.event_processing.event_accumulator import (
        EventAccumulator,
    )

    reader = EventAccumulator(str(folder)).Reload()
    return {
        tag: [(event.step, event.value) for event in reader.Scalars(tag)]
        for tag in reader.Tags()["scalars"]
    }, reader


def assert_scalars(actual, expected):
    assert set(actual) == set(expected)
    for tag, values in expected.items():
        np.testing.assert_allclose(
            actual[tag], values, rtol=1e-5, atol=1e-3, err_msg=tag
        )


def test_writes_what_the_model_learned(tmp_path):
    recorder = Recorder()
    history = fit(
        make_model(), [LocalLearningMonitor(tmp_path, image_freq=2), recorder]
    )
    train, reader = read(tmp_path / "train")
    assert_scalars(train, recorder.scalars)
    validation, _ = read(tmp_path / "validation")
    assert_scalars(
        validation,
        {
            f"local_{key}/{name}": list(
                zip([1, 2], history[f"val_{name}_{key}"])
            )
            for name in ("caw", "hff")
            for key in ("loss", "accuracy")
        },
    )
    tags = ["assignment/caw", "contributions", "prototype_similarity/hff"]
    assert sorted(reader.Tags()["images"]) == tags
    for tag in tags:
        (image,) = reader.Images(tag)
        assert image.step == 2
        assert image.encoded_image_string.startswith(b"\x89PNG")
        assert (image.width, image.height) == (640, 440)


def test_resumes_with_the_right_steps(tmp_path):
    keras.utils.set_random_seed(1)
    alone = Recorder()
    fit(make_model(), [alone], epochs=3)

    def callbacks(*others):
        # The crash comes after the monitor wrote and before the backup.
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
        return [LocalLearningMonitor(tmp_path, 1), *others, backup]

    keras.utils.set_random_seed(1)
    with pytest.raises(KeyboardInterrupt):
        fit(make_model(), callbacks(Crash(2)), epochs=3)
    crashed, _ = read(tmp_path / "train")
    assert [step for step, _ in crashed["contribution/caw"]] == [1, 2]
    # A new process has other random numbers until the backup is read.
    fit(make_model(), callbacks(), epochs=3)
    resumed, reader = read(tmp_path / "train")
    assert_scalars(resumed, alone.scalars)
    assert [i.step for i in reader.Images("contributions")] == [1, 2, 3]


def test_copies_write_into_places_of_their_own(tmp_path):
    monitor = LocalLearningMonitor(tmp_path, image_freq=0)
    recorders = []
    for _ in range(2):
        recorders.append(Recorder())
        fit(make_model(), [copy.deepcopy(monitor), recorders[-1]])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run_0", "run_1"]
    for i, recorder in enumerate(recorders):
        train, reader = read(tmp_path / f"run_{i}" / "train")
        assert_scalars(train, recorder.scalars)
        assert reader.Tags()["images"] == []
    assert monitor.log_dir == str(tmp_path)


def test_trials_of_keras_tuner_do_not_overwrite_one_another(tmp_path):
    keras_tuner = pytest.importorskip("keras_tuner")
    recorder = Recorder()

    class HyperModel(keras_tuner.HyperModel):
        def build(self, hp):
            hp.Float("unused", 0, 1)
            return make_model()

        def fit(self, hp, model, callbacks, **kwargs):
            return model.fit(callbacks=[*callbacks, recorder], **kwargs)

    tuner = keras_tuner.RandomSearch(
        HyperModel(),
        objective="val_accuracy",
        max_trials=2,
        directory=tmp_path / "search",
    )
    tuner.search(
        x=X,
        y=Y,
        validation_data=(X, Y),
        callbacks=[LocalLearningMonitor(tmp_path / "logs", image_freq=0)],
        verbose=0,
    )
    for i in range(2):
        train, _ = read(tmp_path / "logs" / f"run_{i}" / "train")
        assert_scalars(train, {k: [v[i]] for k, v in recorder.scalars.items()})


def test_without_layer_metrics_it_says_so_and_logs_the_rest(tmp_path):
    recorder = Recorder()
    with pytest.warns(UserWarning, match="layer_metrics=True"):
        fit(
            make_model(layer_metrics=False),
            [LocalLearningMonitor(tmp_path, 0), recorder],
            epochs=1,
        )
    train, _ = read(tmp_path / "train")
    assert "contribution/caw" in train
    assert not any(tag.startswith("local_") for tag in train)
    assert_scalars(train, recorder.scalars)


@pytest.mark.parametrize(
    "image_freq, error",
    [
        (-1, ValueError),
        (0.5, TypeError),
        (True, TypeError),
        ("epoch", TypeError),
    ],
)
def test_bad_image_freq(tmp_path, image_freq, error):
    with pytest.raises(error, match="`image_freq` must be a"):
        LocalLearningMonitor(tmp_path, image_freq)


def test_other_models(tmp_path):
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3)])
    model.compile(loss="mse")
    with pytest.raises(TypeError, match="ForwardOnlyModel.*Sequential"):
        model.fit(X, X[:, :3], callbacks=[LocalLearningMonitor(tmp_path)])


def test_missing_writer_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ImportError, match=r'pip install "keras_ff\[plot\]"'):
        keras_ff.callbacks.LocalLearningMonitor(tmp_path)
