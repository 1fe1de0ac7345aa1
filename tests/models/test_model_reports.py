"""What a model tells about its layers."""

import keras
import numpy as np
import pytest
from keras import ops
from tiny_models import CLASSES
from tiny_models import FEATURES
from tiny_models import accuracy
from tiny_models import assert_close
from tiny_models import caw_dense
from tiny_models import data
from tiny_models import dense_block
from tiny_models import layer_losses
from tiny_models import numpy
from tiny_models import rich_model

from keras_ff.contributions import LossAware
from keras_ff.models import ForwardOnlyModel

pytestmark = pytest.mark.eager

SIZE = 22
BATCH = 8


def branched_model(**options):
    inputs = keras.Input((FEATURES,))
    x, first = dense_block("first")(inputs)
    x = keras.layers.Rescaling(0.5)(x)
    _, second = dense_block("second")(x)
    _, third = caw_dense("third", dropout=0.0)(x)
    return ForwardOnlyModel(inputs, [second, third, first], **options)


def test_summary_lists_every_local_layer():
    lines = []
    model = branched_model()
    model.summary(print_fn=lambda text, line_break=None: lines.append(text))
    text = "\n".join(lines)
    for layer in model.local_layers:
        assert f"{layer.name} (" in text
        assert str(layer.count_params()) in text
    assert "Total params" in text


def test_local_layers_are_in_the_order_of_the_outputs():
    model = branched_model()
    names = [layer.name for layer in model.local_layers]
    assert names == ["second", "third", "first"]
    assert model.num_classes == CLASSES


def test_goodness_is_that_of_the_layers_called_by_hand():
    model = branched_model()
    x, _ = data(SIZE)
    goodness = model.goodness(x, batch_size=5)
    assert isinstance(goodness, np.ndarray) and goodness.dtype == "float32"
    assert goodness.shape == (SIZE, 3, CLASSES)
    features, first = model.get_layer("first")(x)
    scaled = ops.multiply(features, 0.5)
    second = model.get_layer("second")(scaled)[1]
    third = model.get_layer("third")(scaled)[1]
    expected = np.stack([numpy(g) for g in (second, third, first)], axis=1)
    assert_close([goodness], [expected])
    # Training changes it.
    model.compile(optimizer=keras.optimizers.SGD(0.1))
    model.fit(*data(SIZE), batch_size=BATCH, verbose=0)
    assert np.abs(model.goodness(x) - expected).max() > 1e-3


def test_goodness_of_streamed_data():
    model = branched_model()
    x, _ = data(4 * BATCH)
    stream = (x[i : i + BATCH] for i in range(0, len(x), BATCH))
    goodness = model.goodness(((batch,) for batch in stream), steps=2)
    assert_close([goodness], [model.goodness(x[: 2 * BATCH])])


@pytest.mark.eager(False)
def test_layer_metrics_in_the_logs():
    model = branched_model(layer_metrics=True, contribution=LossAware())
    model.compile(optimizer=keras.optimizers.SGD(0.2))
    x, y = data(SIZE, seed=1)
    history = model.fit(
        *data(24),
        batch_size=BATCH,
        epochs=2,
        validation_data=(x, y),
        verbose=0,
    ).history
    names = ["second", "third", "first"]
    keys = {"loss", "accuracy"}
    keys |= {f"{n}_{key}" for n in names for key in ("loss", "accuracy")}
    assert set(history) == keys | {f"val_{key}" for key in keys}

    for prefix in ("", "val_"):
        total = sum(np.array(history[f"{prefix}{n}_loss"]) for n in names)
        np.testing.assert_allclose(history[f"{prefix}loss"], total, rtol=1e-5)

    evaluated = model.evaluate(
        x, y, batch_size=BATCH, verbose=0, return_dict=True
    )
    assert set(evaluated) == keys
    goodness = model.goodness(x)
    losses = layer_losses(goodness, y)
    penalty = sum(float(numpy(p)) for p in penalties(model))
    for i, name in enumerate(names):
        extra = penalty if name == "third" else 0.0
        assert evaluated[f"{name}_loss"] == pytest.approx(
            losses[i] + extra, rel=1e-5
        )
        hit = accuracy(goodness[:, i], y)
        assert evaluated[f"{name}_accuracy"] == pytest.approx(hit)
        # The layers' losses do not depend on the contribution's weights.
        assert history[f"val_{name}_loss"][-1] == pytest.approx(
            evaluated[f"{name}_loss"], rel=1e-5
        )
    prediction = np.einsum("l,nlk->nk", model.contribution.weights, goodness)
    assert evaluated["accuracy"] == pytest.approx(accuracy(prediction, y))


def penalties(model):
    head = model.get_layer("third").head
    shares = head.shares()
    return [
        regularizer(shares, epoch=numpy(head.epoch))
        for regularizer in head.assignment_regularizers
    ]


def test_training_logs_of_layers_are_of_the_batches_as_trained():
    model = branched_model(layer_metrics=True)
    model.compile(optimizer=keras.optimizers.SGD(0.0))
    x, y = data(SIZE)
    history = model.fit(x, y, batch_size=BATCH, verbose=0).history
    goodness = model.goodness(x)
    for i in (0, 2):
        name = model.local_layers[i].name
        assert history[f"{name}_loss"][0] == pytest.approx(
            layer_losses(goodness, y)[i], rel=1e-5
        )
        assert history[f"{name}_accuracy"][0] == pytest.approx(
            accuracy(goodness[:, i], y)
        )


def test_without_layer_metrics_logs_are_short():
    model = branched_model()
    model.compile(optimizer=keras.optimizers.SGD(0.1))
    logs = model.test_on_batch(*data(BATCH), return_dict=True)
    assert set(logs) == {"loss", "accuracy"}


def test_model_option_names_are_those_of_the_constructor():
    model = rich_model(
        contribution=LossAware(), layer_clipnorm=0.5, layer_metrics=True
    )
    config = model.get_layer("readout").get_config()
    assert config["layer_clipnorm"] == 0.5
    assert config["layer_metrics"] is True
    assert config["contribution"]["class_name"] == "LossAware"
