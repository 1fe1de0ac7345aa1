"""Values instead of classes: every layer predicts them, their mean counts."""

import keras
import numpy as np
import pytest
from tiny_models import FEATURES
from tiny_models import Weights
from tiny_models import assert_close
from tiny_models import assert_same
from tiny_models import data
from tiny_models import state

from keras_ff import contributions
from keras_ff import layers
from keras_ff.models import DeepSupervisionModel
from keras_ff.models import ForwardForwardModel
from keras_ff.models import ForwardOnlyModel
from keras_ff.models import load_model
from keras_ff.objectives import SupervisedContrast

pytestmark = pytest.mark.eager
once = pytest.mark.only_on("torch")

X, _ = data(24)
Y = np.stack([X[:, 0] - X[:, 1], 40 + 3 * X[:, 2]], 1)


def values_model(num_layers=3, columns=2, loss="mse", **options):
    model = ForwardOnlyModel(
        [
            keras.Input((FEATURES,)),
            *[
                layers.LocalBlock(
                    keras.layers.Dense(7, activation="tanh"),
                    layers.GoodnessProjection(columns, use_bias=True),
                    name=f"local_{i}",
                )
                for i in range(num_layers)
            ],
        ],
        **options,
    )
    model.compile(keras.optimizers.SGD(0.01), loss=loss)
    return model


def mean_of_layers(model, x):
    """The weighted mean of what the layers predict, in NumPy."""
    goodness = model.goodness(x).astype("float64")
    return np.average(goodness, axis=1, weights=model.contribution.weights)


@once
@pytest.mark.eager(False)
@pytest.mark.parametrize(
    "weights",
    [
        [0, 2, 0.5],
        *(pytest.param(w, marks=once) for w in ([1, 1, 1], [0, 0, 3])),
    ],
)
def test_a_prediction_is_the_weighted_mean_of_the_layers(weights, tmp_path):
    model = values_model(contribution=Weights(weights), layer_metrics=True)
    logs = model.fit(X, Y, verbose=0).history
    expected = mean_of_layers(model, X)
    truncated = model.truncate()
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras", compile=False)
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    for same in (model, loaded, copy, truncated):
        assert same.task == "regression"
        assert_close([same.predict(X, verbose=0)], [expected])
        assert_close([keras.ops.convert_to_numpy(same(X))], [expected])
    found = model.evaluate(X, Y, verbose=0, return_dict=True)
    errors = model.goodness(X) - Y[:, None]
    assert_close([found["mae"]], [np.abs(expected - Y).mean()])
    by_layer = (errors**2).mean(axis=(0, 2))
    assert_close([found["loss"]], [by_layer.sum()])
    assert_close([[found[f"local_{i}_loss"] for i in range(3)]], [by_layer])
    assert not [name for name in [*found, *logs] if "accuracy" in name]


@pytest.mark.parametrize("columns", [1, pytest.param(2, marks=once)])
def test_a_layer_learns_as_a_network_of_keras(columns):
    """One block is the network itself; its targets have any sign and rank."""
    model = values_model(1, columns)
    block = model.local_layers[0]
    copy = keras.Sequential(
        [keras.layers.Dense(7, activation="tanh"), keras.layers.Dense(columns)]
    )
    copy.build((None, FEATURES))
    copy.set_weights(block.get_weights())
    copy.compile(keras.optimizers.SGD(0.01), loss="mse")
    for y in (Y[:, :columns], -Y[:, :columns]):
        flat = y[:, 0] if columns == 1 else y
        model.fit(X, flat, batch_size=8, shuffle=False, verbose=0)
        copy.fit(X, y, batch_size=8, shuffle=False, verbose=0)
        model.train_on_batch(X, y, sample_weight=np.arange(len(X)))
        copy.train_on_batch(X, y, sample_weight=np.arange(len(X)))
        assert_close(block.get_weights(), copy.get_weights(), 1e-4, 1e-4)
        assert_close(
            [model.predict(X, verbose=0)], [copy.predict(X, verbose=0)], 1e-4
        )


@once
@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e3])
def test_loss_aware_weights_do_not_depend_on_the_unit(unit):
    model = values_model(contribution=contributions.LossAware())
    for layer in model.local_layers:
        projection = layer.head.projection
        projection.set_weights([unit * w for w in projection.get_weights()])
    model.compile(keras.optimizers.SGD(0.0), loss="mse")
    y = unit * Y[:, ::-1] / 10
    model.fit(X, y, validation_data=(X, y), verbose=0)
    loss = ((model.goodness(X) - y[:, None]) ** 2).mean(axis=(0, 2))
    expected = np.exp(-loss / loss.min())
    assert_close([model.contribution.weights], [expected / expected.sum()])
    assert np.ptp(model.contribution.weights) > 0.01


@once
@pytest.mark.parametrize(
    "y, error, message",
    [
        (Y[:, 0], ValueError, r"shape .* \(batch, 2\)\. .* shape \(24,\)"),
        (Y[:, :1], ValueError, r"Received: targets of shape \(24, 1\)"),
        (Y.astype(str), TypeError, "Targets must be numbers.*<U"),
        (None, ValueError, "Targets are needed. Received: y=None"),
        (
            np.where(np.arange(48).reshape(24, 2) == 7, np.nan, Y),
            ValueError,
            "must be finite. Received: nan .at position 3; 1 such numbers",
        ),
        ([Y, Y], TypeError, "one prediction and one target.*list of 2"),
        ({"a": Y, "b": Y}, TypeError, "one target.*dict of 2 targets"),
    ],
)
def test_targets_that_are_none(y, error, message):
    model = values_model()
    before = state(model)
    for method in (model.fit, model.evaluate, model.train_on_batch):
        with pytest.raises(error, match=message):
            method(X, y)
    assert_same(state(model), before)


def test_a_streamed_target_that_is_not_finite():
    model = values_model()
    before = state(model)
    broken = np.where(np.arange(48).reshape(24, 2) == 7, np.inf, Y)
    with pytest.raises(ValueError, match="finite. Received: inf .1 such targ"):
        model.fit(((X, y) for y in [broken, Y]), verbose=0)
    assert_same(state(model), before)
    with pytest.raises(TypeError, match="one target. .*dict of 1"):
        model.fit(((X, {"a": y}) for y in [Y]), verbose=0)
    model.fit(((X, y) for y in [Y, -Y]), verbose=0)


@once
def test_what_values_do_not_have():
    model = values_model()
    for method in (
        lambda: model.predict_early_exit(X, 0.5),
        lambda: model.calibrate_early_exit(X, Y),
    ):
        with pytest.raises(ValueError, match="how sure.*truncate"):
            method()
    with pytest.raises(ValueError, match="one class a sample.*a loss of regre"):
        model.fit(X, Y, class_weight={0: 1.0}, verbose=0)
    with pytest.raises(ValueError, match="Interval compares acc.*LossAware"):
        values_model(contribution=contributions.Interval())
    with pytest.raises(ValueError, match="candidates.*a loss of regression"):
        ForwardForwardModel(
            [keras.Input((FEATURES,)), layers.FFDense(4)], num_classes=3
        ).compile(loss="mse")
    block = layers.LocalBlock(
        keras.layers.Dense(4),
        layers.GoodnessProjection(2),
        objectives=SupervisedContrast(),
        name="block",
    )
    with pytest.raises(ValueError, match="'block' compares classes.*regressio"):
        ForwardOnlyModel([keras.Input((FEATURES,)), block]).compile(loss="mae")


@once
def test_a_model_learns_what_its_last_loss_says():
    model = values_model()
    model.compile(loss=None)
    assert model.task == "classification"
    assert_close([model.predict(X, verbose=0)], [model.goodness(X).sum(axis=1)])


@once
def test_deep_supervision_averages_too():
    inputs = keras.Input((FEATURES,))
    first = keras.layers.Dense(5, activation="tanh")(inputs)
    heads = [keras.layers.Dense(2)(x) for x in (first, inputs)]
    model = DeepSupervisionModel(inputs, heads)
    model.compile(keras.optimizers.SGD(0.01), loss="mse")
    model.fit(X, Y, verbose=0)
    expected = np.mean(keras.Model(inputs, heads).predict(X, verbose=0), axis=0)
    assert_close([model.predict(X, verbose=0)], [expected])
