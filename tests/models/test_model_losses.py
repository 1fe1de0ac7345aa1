"""What `loss` may be, and an overridden `compute_loss`."""

import keras
import numpy as np
import pytest
from keras import ops
from tiny_models import CLASSES
from tiny_models import FEATURES
from tiny_models import assert_close
from tiny_models import crossentropy
from tiny_models import data
from tiny_models import dense_model
from tiny_models import layer_losses
from tiny_models import twin

from keras_ff import layers
from keras_ff.losses import LocalCrossentropy
from keras_ff.models import DeepSupervisionModel
from keras_ff.models import ForwardOnlyModel
from keras_ff.models import load_model

pytestmark = pytest.mark.eager
once = pytest.mark.only_on("torch")

X, Y = data(12)
ONE_HOT = np.eye(CLASSES, dtype="float32")[Y]


@keras.saving.register_keras_serializable(package="keras_ff_tests")
def squares(y_true, y_pred):
    return ops.sum(ops.square(y_true - y_pred), axis=-1)


squares.task = "regression"


@keras.saving.register_keras_serializable(package="keras_ff_tests")
def focal(y_true, y_pred):
    """A loss of classes, which takes their numbers."""
    y = ops.one_hot(ops.cast(ops.reshape(y_true, (-1,)), "int32"), CLASSES)
    p = ops.sum(y * ops.softmax(y_pred), axis=-1)
    return -((1 - p) ** 2) * ops.log(p)


class Absolute(keras.losses.Loss):
    task = "regression"

    def call(self, y_true, y_pred):
        return ops.mean(ops.abs(y_true - y_pred), axis=-1)


class Times:
    """A callable that is no function."""

    task = "regression"

    def __call__(self, y_true, y_pred):
        return 3 * ops.mean(ops.abs(y_true - y_pred), axis=-1)


def by_focal(goodness):
    p = np.exp(-crossentropy(goodness, Y))
    return -((1 - p) ** 2) * np.log(p)


@once
@pytest.mark.parametrize(
    "loss, y, task, expected",
    [
        (
            "sparse_categorical_crossentropy",
            Y,
            "classification",
            lambda g: crossentropy(g, Y),
        ),
        (
            "CategoricalCrossentropy",
            ONE_HOT,
            "classification",
            lambda g: crossentropy(g, Y),
        ),
        (
            keras.losses.sparse_categorical_crossentropy,
            Y,
            "classification",
            lambda g: crossentropy(g, Y),
        ),
        (focal, Y, "classification", by_focal),
        ("mse", ONE_HOT, "regression", lambda g: (g - ONE_HOT) ** 2),
        (
            keras.losses.mean_absolute_error,
            ONE_HOT,
            "regression",
            lambda g: np.abs(g - ONE_HOT),
        ),
        (Absolute(), ONE_HOT, "regression", lambda g: np.abs(g - ONE_HOT)),
        (Times(), ONE_HOT, "regression", lambda g: 3 * np.abs(g - ONE_HOT)),
        (
            # Without a source: such a function cannot be saved.
            eval(
                "lambda y, z: -ops.sum(y * ops.log_softmax(z), -1)",
                {"ops": ops},
            ),
            ONE_HOT,
            "classification",
            lambda g: crossentropy(g, Y),
        ),
        (
            squares,
            ONE_HOT,
            "regression",
            lambda g: ((g - ONE_HOT) ** 2).sum(axis=-1),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_losses_by_name_and_by_function(loss, y, task, expected):
    model = dense_model()
    model.compile(keras.optimizers.SGD(0.1), loss=loss)
    assert model.task == task
    goodness = np.moveaxis(model.goodness(X), 1, 0)
    logs = model.evaluate(X, y, verbose=0, return_dict=True)
    assert_close([logs["loss"]], [sum(expected(g).mean() for g in goodness)])
    assert model.fit(X, y, verbose=0).history["loss"]


@once
@pytest.mark.eager(False)
@pytest.mark.parametrize("loss, y", [(focal, Y), (squares, ONE_HOT)])
def test_a_function_is_saved_with_the_model(loss, y, tmp_path):
    model = dense_model()
    model.compile(keras.optimizers.SGD(0.1), loss=loss)
    model.fit(X, y, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    assert loaded.task == model.task and loaded.loss.fn is loss
    for one in (model, loaded):
        one.fit(X, y, verbose=0)
    assert_close(loaded.get_weights(), model.get_weights())


@once
@pytest.mark.parametrize(
    "loss, error, message",
    [
        (["mse", "mse"], TypeError, "one loss.*Several targets"),
        ({"a": "mse"}, TypeError, "one prediction and one loss"),
        ("mean_square", TypeError, "Received: loss='mean_square'"),
        (3, TypeError, "`loss` must be a keras.losses.Loss.*loss=3"),
        ("kl_divergence", ValueError, "takes probabilities"),
    ],
)
def test_what_is_no_loss(loss, error, message):
    with pytest.raises(error, match=message):
        dense_model().compile(loss=loss)


@once
def test_an_unknown_task():
    def loss(y_true, y_pred):
        return y_pred[:, 0]

    loss.task = "ranking"
    with pytest.raises(ValueError, match="one of .*Received: 'ranking'"):
        dense_model().compile(loss=loss)


# === Overridden `compute_loss` ===


class Own(ForwardOnlyModel):
    """Weighs the samples by their first feature, in training only."""

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        weights = ops.abs(x[:, 0]) if training else None
        return 2 * super().compute_loss(
            x=x, y=y, y_pred=y_pred, sample_weight=weights
        )


class Older(DeepSupervisionModel):
    """An override from before `training`."""

    def compute_loss(self, x, y, y_pred, sample_weight):
        return 10 + self.loss(y, y_pred)


@pytest.mark.eager(False)
def test_an_override_is_the_loss_of_every_layer():
    model = dense_model()
    own = Own(model.inputs, model.outputs)
    reference = twin(model)
    for one in (own, reference):
        one.compile(keras.optimizers.SGD(0.1), loss=LocalCrossentropy())
    own.fit(X, Y, shuffle=False, verbose=0)
    reference.fit(
        X, Y, sample_weight=2 * np.abs(X[:, 0]), shuffle=False, verbose=0
    )
    assert_close(own.get_weights(), reference.get_weights())
    expected = 2 * layer_losses(own.goodness(X), Y)
    found = own.evaluate(X, Y, verbose=0, return_dict=True)
    assert_close([found["loss"]], [expected.sum()])


class Counting(ForwardOnlyModel):
    """Counts how often a loss was asked for, and by how many samples."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.samples = keras.metrics.Sum(name="samples")

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
        self.samples.update_state(ops.ones_like(y))
        return super().compute_loss(x, y, y_pred, sample_weight)


@once
@pytest.mark.eager(False)
def test_metrics_of_an_override():
    model = dense_model()
    model = Counting(model.inputs, model.outputs)
    model.compile(keras.optimizers.SGD(0.1))
    expected = len(model.local_layers) * len(Y)
    history = model.fit(X, Y, batch_size=4, epochs=2, verbose=0).history
    assert history["samples"] == [expected, expected]
    logs = model.evaluate(X, Y, verbose=0, return_dict=True)
    assert logs["samples"] == expected


@once
def test_an_override_without_training():
    inputs = keras.Input((FEATURES,))
    heads = [keras.layers.Dense(CLASSES)(inputs) for _ in range(2)]
    model = Older(inputs, heads)
    model.compile(keras.optimizers.SGD(0.1))
    assert 20 < model.fit(X, Y, verbose=0).history["loss"][0] < 40


@once
def test_an_override_that_gives_no_number():
    class Losses(ForwardOnlyModel):
        def compute_loss(self, x, y, y_pred, sample_weight, training):
            return y_pred[:, 0]

    model = dense_model()
    model = Losses(model.inputs, model.outputs)
    model.compile(keras.optimizers.SGD(0.1))
    with pytest.raises(ValueError, match=r"'local_0' must be one.*\(12,\)"):
        model.fit(X, Y, verbose=0)


# === Heads ===


def headed(head):
    return ForwardOnlyModel(
        [
            keras.Input((FEATURES,)),
            layers.LocalBlock(keras.layers.Dense(6), head, name="block"),
        ]
    )


@once
@pytest.mark.parametrize(
    "head",
    [
        lambda: keras.layers.Dense(CLASSES, "softmax"),
        lambda: keras.Sequential(
            [keras.layers.Dense(CLASSES), keras.layers.Softmax()]
        ),
        lambda: keras.Sequential(
            [
                keras.layers.Dense(CLASSES),
                keras.layers.Activation("sigmoid"),
            ]
        ),
    ],
)
def test_probabilities_that_would_be_taken_for_logits(head):
    model = headed(head())
    for loss in (None, keras.losses.BinaryCrossentropy(from_logits=True)):
        with pytest.raises(ValueError, match="'block'. Leave it out.*predict"):
            model.compile(loss=loss)
    # Values from 0 to 1, or whatever a loss of one's own takes.
    for loss in ("mse", focal):
        model.compile(loss=loss)
    inputs = keras.Input((FEATURES,))
    model = DeepSupervisionModel(inputs, [head()(inputs)])
    with pytest.raises(ValueError, match="used as logits"):
        model.compile()
