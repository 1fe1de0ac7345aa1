import keras
import numpy as np
import pytest
from tiny_models import CLASSES
from tiny_models import FEATURES
from tiny_models import accuracy
from tiny_models import data
from tiny_models import layer_losses
from tiny_models import numpy

from keras_ff.losses import LocalCrossentropy
from keras_ff.models import DeepSupervisionModel

RATE = 0.1


def make():
    inputs = keras.Input((FEATURES,))
    x = keras.layers.Dense(
        4, activation="tanh", kernel_regularizer=keras.regularizers.L2(0.1)
    )(inputs)
    first = keras.layers.Dense(CLASSES)(x)
    x = keras.layers.Dense(4, activation="tanh")(x)
    second = keras.layers.Dense(CLASSES)(x)
    model = DeepSupervisionModel(inputs, [first, second])
    model.compile(
        optimizer=keras.optimizers.SGD(RATE), loss=LocalCrossentropy()
    )
    return model


def goodness(weights, x):
    """In float64 NumPy, from the variables in the order of the graph."""
    w0, b0, w1, b1, w2, b2, w3, b3 = weights
    hidden = np.tanh(x @ w0 + b0)
    first = hidden @ w1 + b1
    second = np.tanh(hidden @ w2 + b2) @ w3 + b3
    return np.stack([first, second], axis=1)


def in_order(model):
    """first layer, first head, second layer, second head."""
    hidden, others = model.layers[1], model.layers[2:]
    after = next(a for a in others if a.output.shape[-1] == 4)
    heads = [a for a in others if a is not after]
    first, second = sorted(heads, key=lambda a: a.input is after.output)
    layers = (hidden, first, after, second)
    return [v for layer in layers for v in (layer.kernel, layer.bias)]


def test_a_step_follows_the_summed_losses_across_layers():
    x, y = data(8)
    model = make()
    variables = in_order(model)
    weights = [numpy(v).astype("float64") for v in variables]

    def objective(weights):
        losses = layer_losses(goodness(weights, x), y)
        return losses.sum() + 0.1 * (weights[0] ** 2).sum()

    loss = model.train_on_batch(x, y)[0]
    assert loss == pytest.approx(objective(weights), rel=1e-5)
    step = 1e-6
    for index in (0, 2, 4, 7):
        variable, start = variables[index], weights[index]
        moved = []
        for sign in (1, -1):
            other = list(weights)
            other[index] = start.copy()
            other[index].flat[1] += sign * step
            moved.append(objective(other))
        gradient = (moved[0] - moved[1]) / (2 * step)
        found = (start - numpy(variable)).flat[1] / RATE
        assert found == pytest.approx(gradient, rel=1e-3, abs=1e-4)


def test_predict_evaluate_and_reload_use_the_sum(tmp_path):
    x, y = data(24)
    model = make()
    model.fit(x, y, epochs=2, validation_split=0.25, verbose=0)
    weights = [numpy(v) for v in in_order(model)]
    expected = goodness(weights, x).sum(axis=1)
    np.testing.assert_allclose(
        model.predict(x, verbose=0), expected, rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(
        model.predict_on_batch(x), expected, rtol=1e-4, atol=1e-5
    )
    # The metrics were made for numbers.
    result = model.evaluate(x, np.eye(CLASSES)[y], verbose=0, return_dict=True)
    assert result["accuracy"] == pytest.approx(accuracy(expected, y))
    result = model.evaluate(x, y, verbose=0, return_dict=True)
    assert result["accuracy"] == pytest.approx(accuracy(expected, y))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        loaded.predict(x, verbose=0), model.predict(x, verbose=0)
    )
    logs = [m.fit(x, y, verbose=0, shuffle=False) for m in (model, loaded)]
    assert logs[0].history == logs[1].history
    for a, b in zip(model.variables, loaded.variables):
        np.testing.assert_array_equal(numpy(a), numpy(b))


def test_one_head_is_a_plain_model():
    x, y = data(12)
    inputs = keras.Input((FEATURES,))
    outputs = keras.layers.Dense(CLASSES)(inputs)
    model = DeepSupervisionModel(inputs, [outputs])
    model.compile(keras.optimizers.SGD(RATE), LocalCrossentropy())
    dense = model.layers[-1]
    expected = x @ numpy(dense.kernel) + numpy(dense.bias)
    np.testing.assert_allclose(
        model.predict(x, verbose=0), expected, rtol=1e-5, atol=1e-6
    )
    loss, hits = model.evaluate(x, y, verbose=0)
    assert loss == pytest.approx(layer_losses(expected[:, None], y)[0], 1e-5)
    assert hits == pytest.approx(accuracy(expected, y))
    model.fit(x, y, verbose=0)
    assert np.any(numpy(dense.bias) != 0)


def test_loss_by_name_is_refused():
    with pytest.raises(TypeError, match="`loss` must be a keras.losses.Loss"):
        make().compile(loss="mse")
