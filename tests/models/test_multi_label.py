"""Yes or no in every column: several classes a sample, or one logit."""

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
from keras_ff.models import ForwardOnlyModel
from keras_ff.objectives import SimilarityMatching

pytestmark = pytest.mark.eager
once = pytest.mark.only_on("torch")
each_number_of_columns = pytest.mark.parametrize(
    "columns", [1, pytest.param(3, marks=once)]
)

X, NUMBERS = data(40)
# Rows with none, one or several of three classes.
ROWS = (X[:, :3] > np.median(X[:, :3], axis=0)).astype("float32")
BCE = keras.losses.BinaryCrossentropy(from_logits=True)


def columns_model(columns, loss=BCE, **options):
    model = ForwardOnlyModel(
        [
            keras.Input((FEATURES,)),
            *[
                layers.LocalBlock(
                    keras.layers.Dense(6, activation="relu"),
                    layers.GoodnessProjection(columns),
                    name=f"local_{i}",
                )
                for i in range(3)
            ],
        ],
        layer_metrics=True,
        **options,
    )
    model.compile(keras.optimizers.SGD(0.1), loss=loss)
    return model


def crossentropy(logits, y):
    return np.logaddexp(0, logits) - y * logits


def share_right(logits, y):
    return np.mean((logits > 0) == (y > 0.5))


@pytest.mark.eager(False)
@each_number_of_columns
def test_losses_and_accuracies(columns):
    model = columns_model(columns)
    rows = ROWS[:, :columns]
    y = rows[:, 0].astype(bool) if columns == 1 else rows
    model.fit(X, y, epochs=2, verbose=0, validation_data=(X, rows))
    assert model.task == "multi_label"
    found = model.evaluate(X, y, verbose=0, return_dict=True)
    goodness = np.moveaxis(model.goodness(X), 1, 0)
    losses = [crossentropy(g, rows).mean() for g in goodness]
    assert_close([found["loss"]], [np.sum(losses)])
    total = goodness.sum(axis=0)
    assert_close([model.predict(X, verbose=0)], [total])
    assert_close([found["accuracy"]], [share_right(total, rows)])
    for i in range(3):
        assert_close(
            [[found[f"local_{i}_{key}"] for key in ("loss", "accuracy")]],
            [[losses[i], share_right(goodness[i], rows)]],
        )


@once
def test_a_loss_of_yes_or_no_by_name():
    """And hinge losses, whose labels are 0 and 1 too."""
    y = ROWS[:, :1]
    for loss, of_logits in (
        ("binary_crossentropy", crossentropy),
        ("hinge", lambda z, y: np.maximum(1 - (2 * y - 1) * z, 0)),
    ):
        model = columns_model(1, loss)
        goodness = model.goodness(X)
        found = model.evaluate(X, y, verbose=0, return_dict=True)
        expected = of_logits(goodness, y[:, None]).mean(axis=0).sum()
        assert_close([found["loss"]], [expected])
        assert model.task == "multi_label"


@once
@each_number_of_columns
def test_contributions_learn(columns):
    rows = ROWS[:, :columns]
    model = columns_model(columns, contribution=contributions.LossAware())
    model.fit(X, rows, validation_data=(X, rows), verbose=0)
    goodness = np.moveaxis(model.goodness(X), 1, 0)
    losses = np.array([crossentropy(g, rows).mean() for g in goodness])
    expected = np.exp(-losses) / np.exp(-losses).sum()
    assert_close([model.contribution.weights], [expected])
    model = columns_model(columns, contribution=contributions.Interval())
    model.fit(X, rows, validation_data=(X, rows), verbose=0)
    goodness = np.moveaxis(model.goodness(X), 1, 0)
    best = max(
        (share_right(goodness[s : e + 1].sum(axis=0), rows), -e, -s)
        for e in range(3)
        for s in range(e + 1)
    )
    expected = np.zeros(3)
    expected[-best[2] : 1 - best[1]] = 1
    assert_same([model.contribution.weights], [expected.astype("float32")])


@each_number_of_columns
def test_early_exit_where_every_column_is_decided(columns):
    model = columns_model(columns, contribution=Weights([1.0, 3.0, 2.0]))
    rows = ROWS[:, :columns]
    combined = np.cumsum(
        model.contribution.weights[:, None] * model.goodness(X), axis=1
    )
    sure = 1 / (1 + np.exp(-np.abs(combined).min(axis=-1)))
    threshold = (np.sort(sure[:, 0])[19:21]).mean()
    leaves = sure > threshold
    leaves[:, -1] = True
    used = np.argmax(leaves, axis=1)
    found = model.predict_early_exit(X, threshold, batch_size=7)
    assert_same([found.layers_used], [used + 1])
    assert len(set(used)) > 1
    expected = combined[np.arange(len(X)), used]
    assert_close([found.predictions], [expected], 1e-4, 1e-5)
    calibrated = model.calibrate_early_exit(X, rows, max_accuracy_loss=0.1)
    found = model.predict_early_exit(X, calibrated.threshold)
    assert_close(
        [[share_right(found.predictions, rows), found.layers_used.mean()]],
        [[calibrated.accuracy, calibrated.mean_layers_used]],
    )
    assert_close(
        [calibrated.full_accuracy], [share_right(combined[:, -1], rows)]
    )


@once
def test_weights_of_the_two_classes():
    """As sample weights that say the same."""
    y = ROWS[:, 0]
    models = [columns_model(1) for _ in range(2)]
    models[1].set_weights(models[0].get_weights())
    models[0].fit(X, y, class_weight={0: 0.5, 1: 3.0}, shuffle=False, verbose=0)
    models[1].fit(
        X, y, sample_weight=np.where(y, 3.0, 0.5), shuffle=False, verbose=0
    )
    assert_close(models[0].get_weights(), models[1].get_weights())
    with pytest.raises(ValueError, match="one class a sample.*yes or no"):
        columns_model(3).fit(X, ROWS, class_weight={0: 2.0}, verbose=0)


@once
@pytest.mark.parametrize(
    "y, message",
    [
        (NUMBERS, r"yes or no in every column .*\(batch, 3\)\. .* \(40,\)"),
        (2 * ROWS - 1, r"0 or 1, or between.*Received: -1.0"),
        (ROWS * np.nan, "between.*Received: nan"),
        (ROWS[:, :2], r"labels of shape \(40, 2\)"),
    ],
    ids=["numbers", "negative", "nan", "fewer"],
)
def test_labels_that_are_none(y, message):
    model = columns_model(3)
    before = state(model)
    with pytest.raises(ValueError, match=message):
        model.fit(X, y, verbose=0)
    assert_same(state(model), before)


def test_a_streamed_label_that_is_none():
    model = columns_model(3)
    before = state(model)
    message = r"0 or 1, or between .*Received: 2 \(60 such labels\)"
    assert ROWS.sum() == 60
    with pytest.raises(ValueError, match=message):
        model.fit(((X, y) for y in [2 * ROWS, ROWS]), verbose=0)
    assert_same(state(model), before)


@once
def test_one_column_and_a_loss_of_classes():
    with pytest.raises(ValueError, match="tells no classes.*BinaryCrossentro"):
        columns_model(1, None)


class Own(keras.metrics.Mean):
    """A metric with a threshold of goodness."""

    threshold = 0.5

    def update_state(self, y_true, y_pred, sample_weight=None):
        return super().update_state(y_pred > self.threshold)


@once
def test_metrics_see_logits():
    metrics = keras.metrics
    model = columns_model(3)
    for metric in (
        metrics.AUC(),
        metrics.SparseCategoricalCrossentropy(),
        "binary_crossentropy",
        "crossentropy",
    ):
        with pytest.raises(ValueError, match="logits: .*from_logits=True"):
            model.compile(loss=BCE, metrics=[metric])
    for metric in (
        metrics.BinaryAccuracy(),
        metrics.Precision(),
        metrics.Recall,
        metrics.F1Score(threshold=0.5),
        metrics.PrecisionAtRecall(0.5),
        "false_positives",
    ):
        with pytest.raises(ValueError, match="a threshold of 0.0"):
            model.compile(loss=BCE, metrics=[metric])
    model.compile(
        loss=BCE,
        metrics=[
            Own(name="own"),
            "acc",
            metrics.AUC(from_logits=True, multi_label=True),
            metrics.Precision(thresholds=0.0, name="precision"),
        ],
        weighted_metrics=["binary_accuracy"],
    )
    found = model.evaluate(X, ROWS, verbose=0, return_dict=True)
    logits = model.predict(X, verbose=0)
    expected = share_right(logits, ROWS)
    assert_close([[found["acc"], found["binary_accuracy"]]], [[expected] * 2])
    assert_close([[found["precision"]]], [[np.mean(ROWS[logits > 0])]])
    assert_close([[found["own"]]], [[np.mean(logits > 0.5)]])


@once
def test_objectives_that_compare_classes():
    block = layers.LocalBlock(
        keras.layers.Dense(4),
        layers.GoodnessProjection(3),
        objectives=SimilarityMatching(),
        name="block",
    )
    model = ForwardOnlyModel([keras.Input((FEATURES,)), block])
    with pytest.raises(ValueError, match="'block' compares classes.*yes or no"):
        model.compile(loss=BCE)
