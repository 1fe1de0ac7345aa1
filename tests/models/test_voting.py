"""Frozen layers that never learned have no say in the prediction."""

import keras
import numpy as np
import pytest
from tiny_models import CLASSES
from tiny_models import FEATURES
from tiny_models import Weights
from tiny_models import assert_same
from tiny_models import crossentropy
from tiny_models import data
from tiny_models import dense_model
from tiny_models import numpy
from tiny_models import optimizer_state
from tiny_models import state

from keras_ff import contributions
from keras_ff import layers
from keras_ff.models import ForwardOnlyModel
from keras_ff.models import adapt_prototypes
from keras_ff.models import load_model

pytestmark = pytest.mark.eager
once = pytest.mark.only_on("torch")
X, Y = data(48)


def frozen_in_front(number=2, **options):
    model = dense_model(3, **options)
    for layer in model.local_layers[:number]:
        layer.trainable = False
    model.compile(keras.optimizers.Adam(0.01))
    return model


def fit(model, **kwargs):
    options = dict(epochs=2, batch_size=16, verbose=0, validation_data=(X, Y))
    return model.fit(X, Y, **{**options, **kwargs}).history


@pytest.mark.parametrize(
    "contribution, expected",
    [
        pytest.param(contributions.Uniform(), [0, 0, 1], marks=once),
        (contributions.Interval(), [0, 0, 1]),
        pytest.param(contributions.Last(), [0, 0, 1], marks=once),
        pytest.param(contributions.SkipFirst(), [0, 0, 1], marks=once),
        pytest.param(
            contributions.LossAware("training"), [0, 0, 1], marks=once
        ),
        pytest.param(Weights([0.2, 0.3, 0.5]), [0, 0, 1], marks=once),
        pytest.param(Weights([2, 3, 5]), [0, 0, 5], marks=once),
        pytest.param(Weights([1, 0, 0]), [0, 0, 1], marks=once),
    ],
    ids=lambda value: getattr(type(value), "__name__", None),
)
def test_whatever_the_contribution(contribution, expected, tmp_path):
    model = frozen_in_front(contribution=contribution)
    fit(model)
    assert model.contribution.weights.tolist() == expected
    last = expected[2] * model.goodness(X)[:, 2]
    np.testing.assert_allclose(model.predict(X, verbose=0), last, rtol=1e-5)
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    assert loaded.contribution.weights.tolist() == expected
    np.testing.assert_allclose(loaded.predict(X, verbose=0), last, rtol=1e-5)
    fit(loaded)
    assert loaded.contribution.weights.tolist() == expected


def test_logged_loss_is_that_of_the_layers_that_count():
    model = frozen_in_front(layer_metrics=True)
    logs = fit(model)
    goodness = model.goodness(X)[:, 2]
    expected = crossentropy(goodness, Y).mean()
    assert logs["val_loss"][-1] == pytest.approx(expected, rel=1e-4)
    assert logs["val_local_2_loss"][-1] == pytest.approx(expected, rel=1e-4)
    # What a frozen layer would have to say is still told.
    assert logs["val_local_0_loss"][-1] > 0


def test_a_frozen_front_goes_on_with_its_optimizer(tmp_path):
    model = frozen_in_front()
    before = [numpy(v) for v in model.local_layers[0].weights]
    fit(model, shuffle=False)
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    assert len(loaded.trainable_weights) == len(model.trainable_weights) == 3
    assert_same(optimizer_state(loaded), optimizer_state(model))
    assert np.any(optimizer_state(loaded)[-1])
    for each in (model, loaded):
        fit(each, shuffle=False)
    assert_same(state(loaded), state(model))
    assert_same([numpy(v) for v in loaded.local_layers[0].weights], before)


@once
def test_one_that_learned_before_keeps_its_vote(tmp_path):
    model = dense_model(3)
    model.compile("adam")
    fit(model)
    model.save(tmp_path / "model.keras")
    for each in (model, load_model(tmp_path / "model.keras")):
        for layer in each.local_layers[:2]:
            layer.trainable = False
        each.compile("adam")
        fit(each)
        assert each.contribution.weights.tolist() == [1, 1, 1]


@once
@pytest.mark.parametrize(
    "contribution, frozen, thawed",
    [
        (contributions.Uniform(), [0, 0, 1], [0, 1, 1]),
        (contributions.SkipFirst(), [0, 0, 1], [0, 1, 1]),
        (Weights([0.2, 0.3, 0.5]), [0, 0, 1], [0, 3 / 8, 5 / 8]),
    ],
    ids=lambda value: getattr(type(value), "__name__", None),
)
def test_one_that_is_thawed_counts_again(contribution, frozen, thawed):
    model = frozen_in_front(contribution=contribution)
    fit(model)
    assert model.contribution.weights.tolist() == frozen
    model.local_layers[1].trainable = True
    model.compile("adam")
    fit(model)
    np.testing.assert_allclose(model.contribution.weights, thawed, rtol=1e-6)


def test_training_on_batches_counts():
    model = frozen_in_front(1)
    for _ in range(2):
        model.train_on_batch(X, Y)
        assert model.contribution.weights.tolist() == [0, 1, 1]
        model.compile("adam")


@once
def test_before_any_training_all_count():
    model = frozen_in_front()
    assert model.contribution.weights.tolist() == [1, 1, 1]
    expected = model.goodness(X).sum(axis=1)
    np.testing.assert_allclose(model.predict(X, verbose=0), expected, rtol=1e-5)
    # So they do where nothing is to learn, which is told.
    model = frozen_in_front(3)
    with pytest.warns(UserWarning, match="All local layers are frozen"):
        fit(model)
    assert model.contribution.weights.tolist() == [1, 1, 1]


@once
def test_a_trained_head_on_frozen_features_counts():
    model = dense_model(3)
    for layer in model.local_layers[:2]:
        for part in layer.layers:
            part.trainable = False
    model.compile("adam")
    fit(model)
    assert model.contribution.weights.tolist() == [1, 1, 1]


@once
def test_prototypes_from_data_count():
    model = ForwardOnlyModel(
        [
            keras.Input((FEATURES,)),
            *[layers.PrototypeDense(6, CLASSES) for _ in range(2)],
        ]
    )
    model.local_layers[0].trainable = False
    model.compile("adam")
    adapt_prototypes(model, X, Y)
    fit(model)
    assert model.contribution.weights.tolist() == [1, 1]


@once
def test_a_model_cut_short_knows_who_learned():
    model = frozen_in_front(1)
    fit(model)
    short = model.truncate(2)
    assert short.contribution.weights.tolist() == [0, 1]
    short.local_layers[0].trainable = False
    short.compile("adam")
    fit(short)
    assert short.contribution.weights.tolist() == [0, 1]
