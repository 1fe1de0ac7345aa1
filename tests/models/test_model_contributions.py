"""How contributions are updated in `fit`, kept, and used in `predict`."""

import keras
import numpy as np
import pytest
from by_hand import BACKEND
from tiny_models import CLASSES
from tiny_models import FEATURES
from tiny_models import accuracy
from tiny_models import assert_close
from tiny_models import assert_same
from tiny_models import caw_dense
from tiny_models import data
from tiny_models import dense_block
from tiny_models import dense_model
from tiny_models import layer_losses
from tiny_models import state

from keras_ff import layers
from keras_ff.contributions import Contribution
from keras_ff.contributions import Interval
from keras_ff.contributions import Last
from keras_ff.contributions import LossAware
from keras_ff.contributions import Uniform
from keras_ff.losses import LocalCrossentropy
from keras_ff.models import ForwardOnlyModel
from keras_ff.models import load_model

pytestmark = pytest.mark.eager
once = pytest.mark.only_on("torch")

SIZE = 22  # Not a multiple of the batch size.
BATCH = 8


@keras.saving.register_keras_serializable(package="keras_ff_tests")
class Fixed(Contribution):
    """Given weights, and other ones from after the first epoch on."""

    source = "training"

    def __init__(self, first, then):
        self.first = first
        self.then = then

    def initial_weights(self, num_layers):
        return np.array(self.first, "float32")

    def update(self, statistics):
        return np.array(self.then, "float32")

    def get_config(self):
        return {"first": self.first, "then": self.then}


def softmax(x):
    e = np.exp(x - np.max(x))
    return e / e.sum()


def fit(model, loss=None, optimizer=None, epochs=1, validation=True, **kwargs):
    if not model.compiled:
        optimizer = optimizer or keras.optimizers.SGD(0.2)
        model.compile(optimizer=optimizer, loss=loss)
    validation_data = data(SIZE, seed=1) if validation else None
    return model.fit(
        *data(3 * BATCH),
        batch_size=BATCH,
        epochs=epochs,
        validation_data=validation_data,
        validation_batch_size=BATCH,
        verbose=0,
        **kwargs,
    ).history


def weighted(model, x):
    return np.einsum("l,nlk->nk", model.contribution.weights, model.goodness(x))


@once
@pytest.mark.parametrize(
    "contribution, expected",
    [
        (None, [1, 1, 1]),
        (Uniform(), [1, 1, 1]),
        (Last(), [0, 0, 1]),
        (LossAware(), [1 / 3, 1 / 3, 1 / 3]),
        (Interval(), [1, 1, 1]),
    ],
)
def test_weights_before_training(contribution, expected):
    model = dense_model(3, contribution=contribution)
    np.testing.assert_allclose(model.contribution.weights, expected)
    x, _ = data(5)
    assert_close([model.predict(x, verbose=0)], [weighted(model, x)])


@pytest.mark.eager(False)
def test_loss_aware_is_the_softmax_of_validation_losses():
    model = ForwardOnlyModel(
        [
            keras.Input((FEATURES,)),
            dense_block("local_0", dropout=0.3, normalization="layer"),
            caw_dense("local_1"),
            dense_block("local_2"),
        ],
        contribution=LossAware(),
    )
    history = fit(model, LocalCrossentropy(0.1), epochs=2)
    x, y = data(SIZE, seed=1)
    losses = layer_losses(model.goodness(x), y, label_smoothing=0.1)
    weights = softmax(-losses)
    assert np.abs(weights - 1 / 3).max() > 1e-2
    np.testing.assert_allclose(model.contribution.weights, weights, rtol=1e-5)
    prediction = np.einsum("l,nlk->nk", weights, model.goodness(x))
    assert_close([model.predict(x, verbose=0)], [prediction])
    # Validation itself was measured with the weights of the epoch before.
    assert set(history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert model.evaluate(x, y, verbose=0)[1] == pytest.approx(
        accuracy(prediction, y)
    )


def test_loss_aware_of_training_batches():
    model = dense_model(3, contribution=LossAware(source="training"))
    # Nothing moves, so that the losses can be computed afterwards.
    fit(model, optimizer=keras.optimizers.SGD(0.0), validation=False)
    x, y = data(3 * BATCH)
    weights = softmax(-layer_losses(model.goodness(x), y))
    np.testing.assert_allclose(model.contribution.weights, weights, rtol=1e-5)


def test_loss_aware_of_training_batches_ignores_validation_data():
    models = [dense_model(contribution=LossAware(source="training"))]
    models.append(keras.models.clone_model(models[0]))
    models[1].set_weights(models[0].get_weights())
    fit(models[0], validation=True)
    fit(models[1], validation=False)
    assert_close(state(models[0]), state(models[1]))


def best_interval(goodness, y):
    """By brute force; of equal ones the earliest end, then start."""
    best, found = -1.0, None
    for end in range(goodness.shape[1]):
        for start in range(end + 1):
            hit = accuracy(goodness[:, start : end + 1].sum(axis=1), y)
            if hit > best + 1e-9:
                best, found = hit, (start, end)
    weights = np.zeros(goodness.shape[1])
    weights[found[0] : found[1] + 1] = 1
    return weights


@once
def test_interval_is_the_best_by_brute_force():
    found = set()
    model = dense_model(4, contribution=Interval())
    x, y = data(SIZE, seed=1)
    for _ in range(5):
        # Layers trained for one epoch from random weights are of all kinds.
        for variable in model.trainable_variables:
            variable.assign(np.random.normal(size=variable.shape))
        fit(model, optimizer=keras.optimizers.SGD(0.01))
        expected = best_interval(model.goodness(x), y)
        assert_same([model.contribution.weights], [expected])
        assert_close([model.predict(x, verbose=0)], [weighted(model, x)])
        found.add(tuple(expected))
    assert len(found) > 1


@once
@pytest.mark.parametrize(
    "kind, reduction",
    [
        (LossAware, "sum_over_batch_size"),
        pytest.param(LossAware, "sum", marks=once),
        pytest.param(LossAware, "mean", marks=once),
        pytest.param(Interval, "sum", marks=once),
    ],
)
def test_validation_samples_of_weight_zero_decide_nothing(kind, reduction):
    if reduction == "mean":
        reduction = "mean_with_sample_weight"
    x, y = data(SIZE, seed=1)
    weight = np.where(np.arange(SIZE) < SIZE // 2, 2.0, 0.0).astype("float32")
    y[weight == 0] = (y[weight == 0] + 1) % CLASSES
    model = dense_model(3, contribution=kind(), layer_metrics=True)
    model.compile(
        keras.optimizers.SGD(0.002), loss=LocalCrossentropy(reduction=reduction)
    )
    logs = model.fit(
        *data(3 * BATCH),
        batch_size=BATCH,
        validation_data=(x, y, weight),
        validation_batch_size=BATCH,
        verbose=0,
    ).history
    goodness, labels = model.goodness(x)[weight > 0], y[weight > 0]
    expected = softmax(-layer_losses(goodness, labels))
    if kind is Interval:
        expected = best_interval(goodness, labels)
    np.testing.assert_allclose(model.contribution.weights, expected, rtol=1e-5)
    for i in range(3):
        assert logs[f"val_local_{i}_accuracy"][0] == pytest.approx(
            accuracy(goodness[:, i], labels)
        )


@once
@pytest.mark.parametrize(
    "validation, message",
    [
        (data(0), "`x` must hold samples"),
        ((*data(4), [0.0] * 4), "LossAware is updated.*Received: none, or"),
    ],
    ids=["no samples", "no weights"],
)
def test_validation_without_samples_rewrites_nothing(validation, message):
    model = dense_model(contribution=LossAware())
    before = model.contribution.weights
    model.compile(optimizer=keras.optimizers.SGD(0.2))
    with pytest.raises(ValueError, match=message):
        model.fit(*data(2 * BATCH), validation_data=validation, verbose=0)
    assert_same([model.contribution.weights], [before])


@pytest.mark.eager(False)
def test_weights_follow_every_epoch_and_survive_saving(tmp_path):
    model = dense_model(3, contribution=LossAware())
    seen = []
    callback = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda *_: seen.append(model.contribution.weights)
    )
    fit(model, epochs=2, callbacks=[callback])
    assert np.abs(seen[0] - seen[1]).max() > 1e-4
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    assert isinstance(loaded.contribution, LossAware)
    assert_same([loaded.contribution.weights], [seen[1]])
    x, _ = data(5)
    assert_same([loaded.predict(x, verbose=0)], [model.predict(x, verbose=0)])


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("loss_aware", marks=once),
        "training",
        pytest.param("interval", marks=once),
    ],
)
def test_evaluate_and_predict_outside_fit_change_nothing(name):
    contribution = {
        "loss_aware": LossAware(),
        "training": LossAware("training"),
        "interval": Interval(),
    }[name]
    model = dense_model(contribution=contribution)
    fit(model)
    before = state(model)
    x, y = data(SIZE, seed=2)
    y = (y + 1) % CLASSES
    first = model.evaluate(x, y, verbose=0)
    model.test_on_batch(x, y)
    model.predict(x, verbose=0)
    model.goodness(x)
    assert_same(state(model), before)
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0), first)


CALLS = []


@keras.saving.register_keras_serializable(package="keras_ff_tests")
class Counting(keras.layers.Dense):
    """A dense layer that notes its calls, eager ones one by one."""

    def call(self, inputs):
        CALLS.append(self.name)
        return super().call(inputs)


def counting_model(contribution, num_layers=4):
    return ForwardOnlyModel(
        [
            keras.Input((FEATURES,)),
            *[
                layers.LocalBlock(
                    Counting(4, activation="relu", name=str(i)),
                    layers.GoodnessProjection(CLASSES),
                )
                for i in range(num_layers)
            ],
        ],
        contribution=contribution,
    )


@pytest.mark.eager(False)
@pytest.mark.parametrize(
    "weights, called",
    [
        pytest.param([1, 1, 1, 1], "0123", marks=once),
        ([0, 1, 1, 0], "012"),
        pytest.param([0, 0, 0, 1], "0123", marks=once),
        pytest.param([0.5, 0, 0, 0], "0", marks=once),
    ],
)
def test_predict_computes_only_the_layers_that_contribute(weights, called):
    model = counting_model(Fixed(weights, weights))
    model.compile(run_eagerly=True)
    x, y = data(8)
    expected = weighted(model, x)
    model.evaluate(x, y, verbose=0)  # Keras builds the model.
    CALLS.clear()
    assert_close([model.predict(x, verbose=0)], [expected])
    assert "".join(CALLS) == called
    CALLS.clear()
    assert_close([model.predict_on_batch(x)], [expected])
    assert "".join(CALLS) == called
    CALLS.clear()
    model.evaluate(x, y, verbose=0)
    assert "".join(CALLS) == "0123"  # Every layer has a loss.


def test_predict_skips_a_branch_that_does_not_contribute():
    inputs = keras.Input((FEATURES,))
    blocks = [
        layers.LocalBlock(
            Counting(4, name=str(i)), layers.GoodnessProjection(CLASSES)
        )
        for i in range(3)
    ]
    x, first = blocks[0](inputs)
    y, second = blocks[1](inputs)
    _, third = blocks[2](keras.layers.Add()([x, y]))
    model = ForwardOnlyModel(
        inputs, [first, second, third], contribution=Fixed([0, 2, 0], [0] * 3)
    )
    model.compile(run_eagerly=True)
    x, _ = data(8)
    expected = 2 * model.goodness(x)[:, 1]
    CALLS.clear()
    assert_close([model.predict(x, verbose=0)], [expected])
    assert CALLS == ["1"]


@pytest.mark.eager(False)
def test_predict_after_the_weights_changed_is_not_stale():
    model = dense_model(3, contribution=Fixed([1, 0, 0], [0, 0.5, 2]))
    x, y = data(8)
    assert_close([model.predict(x, verbose=0)], [model.goodness(x)[:, 0]])
    model.compile(optimizer=keras.optimizers.SGD(0.1))
    assert_close([model.predict(x, verbose=0)], [model.goodness(x)[:, 0]])
    saved = model.get_weights()
    model.fit(x, y, verbose=0)
    assert_same([model.contribution.weights], [np.float32([0, 0.5, 2])])
    expected = weighted(model, x)
    assert_close([model.predict(x, verbose=0)], [expected])
    assert_close([model.predict_on_batch(x)], [expected])
    assert_close([np.array(keras.ops.convert_to_numpy(model(x)))], [expected])
    # Other weights of the same layers, then the first ones.
    model.fit(x, y, verbose=0)
    assert_close([model.predict(x, verbose=0)], [weighted(model, x)])
    model.set_weights(saved)
    assert_close([model.predict(x, verbose=0)], [model.goodness(x)[:, 0]])


@pytest.mark.eager(False)
@pytest.mark.skipif(BACKEND == "torch", reason="PyTorch compiles nothing")
def test_predict_is_compiled_once_for_the_same_layers():
    model = counting_model(Fixed([1, 1, 0, 0], [2, 3, 0, 0]))
    model.compile(optimizer=keras.optimizers.SGD(0.1))
    x, y = data(8)
    model.predict(x, verbose=0)
    model.fit(x, y, verbose=0)
    CALLS.clear()
    prediction = model.predict(x, verbose=0)
    assert not CALLS
    assert_close([prediction], [weighted(model, x)])


def test_every_layer_pruned_is_a_zero_prediction():
    model = dense_model(contribution=Fixed([0, 0], [0, 0]))
    x, _ = data(5)
    assert_same([model.predict(x, verbose=0)], [np.zeros((5, CLASSES))])


@once
@pytest.mark.parametrize("contribution", [LossAware(), Interval()])
def test_contribution_that_needs_validation_data_says_so(contribution):
    model = dense_model(contribution=contribution)
    model.compile(optimizer=keras.optimizers.SGD(0.1))
    before = state(model)
    name = type(contribution).__name__
    with pytest.raises(ValueError, match=f"{name} is updated from validation"):
        model.fit(*data(8), verbose=0)
    assert_same(state(model), before)
    model.fit(*data(16), validation_split=0.25, verbose=0)


@once
def test_interval_prefers_the_earliest_of_equal_ranges():
    class Statistics:
        def interval_accuracy(self):
            nan = np.nan
            return np.array([[0.5, 0.7, 0.9], [nan, 0.7, 0.9], [nan, nan, 0.9]])

    assert_same([Interval().update(Statistics())], [[1, 1, 1]])
