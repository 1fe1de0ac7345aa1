import keras
import numpy as np
import pytest
from tiny_models import CLASSES
from tiny_models import FEATURES
from tiny_models import accuracy
from tiny_models import data
from tiny_models import layer_losses
from tiny_models import numpy

from keras_ff import layers
from keras_ff import objectives
from keras_ff.losses import LocalCrossentropy
from keras_ff.models import DeepSupervisionModel

pytestmark = pytest.mark.eager

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
    hidden, others = model.layers[1], model.layers[2:-1]
    after = next(a for a in others if a.output.shape[-1] == 4)
    heads = [a for a in others if a is not after]
    first, second = sorted(heads, key=lambda a: a.input is after.output)
    layers = (hidden, first, after, second)
    return [v for layer in layers for v in (layer.kernel, layer.bias)]


@pytest.mark.eager(False)
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
    dense = model.layers[1]
    expected = x @ numpy(dense.kernel) + numpy(dense.bias)
    np.testing.assert_allclose(
        model.predict(x, verbose=0), expected, rtol=1e-5, atol=1e-6
    )
    loss, hits = model.evaluate(x, y, verbose=0)
    assert loss == pytest.approx(layer_losses(expected[:, None], y)[0], 1e-5)
    assert hits == pytest.approx(accuracy(expected, y))
    model.fit(x, y, verbose=0)
    assert np.any(numpy(dense.bias) != 0)


def test_labels_and_weights_are_checked():
    x, y = data(8)
    model = make()
    wrong, negative = np.full_like(y, CLASSES), np.full(8, -1.0)
    for run in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match=r"in \[0, 3\).*Received: 3"):
            run(x, wrong, verbose=0)
    for run in (model.train_on_batch, model.test_on_batch):
        with pytest.raises(ValueError, match=r"in \[0, 3\).*Received: 3"):
            run(x, wrong)
        with pytest.raises(ValueError, match="not negative.*from -1.0"):
            run(x, y, sample_weight=negative)
    with pytest.raises(ValueError, match="Labels are needed"):
        model.fit(((x,) for _ in range(2)), verbose=0)
    with pytest.raises(ValueError, match="keys .3."):
        model.fit(x, y, class_weight={3: 1.0}, verbose=0)
    with pytest.raises(ValueError, match="`x` must hold samples"):
        model.predict(x[:0], verbose=0)


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda x, y: (x, np.full_like(y, -1)), r"Received: -1 .*not trained"),
        (lambda x, y: (x * np.nan, y), "loss of layer 'dense.*became NaN"),
    ],
)
def test_a_poisoned_batch_of_a_stream_is_not_trained_on(spoil, message):
    x, y = data(8)
    model, twin = make(), make()
    twin.set_weights(model.get_weights())
    twin.train_on_batch(x, y)
    stream = [(x, y), spoil(x, y), (x, y)]
    with pytest.raises(ValueError, match=message):
        model.fit((batch for batch in stream), verbose=0)
    for actual, expected in zip(model.trainable_variables, twin.variables):
        np.testing.assert_array_equal(numpy(actual), numpy(expected))
    assert model.epoch == 0


def test_a_penalty_that_is_not_finite_is_named():
    def broken(weights):
        return keras.ops.sum(weights) * float("nan")

    class Broken(keras.regularizers.Regularizer):
        __call__ = staticmethod(broken)

    x, y = data(8)
    inputs = keras.Input((FEATURES,))
    head = keras.layers.Dense(CLASSES, kernel_regularizer=Broken(), name="head")
    model = DeepSupervisionModel(inputs, [head(inputs)])
    model.compile("sgd")
    message = "penalty of layer 'head'.*Broken .kernel_regularizer of 'head'"
    with pytest.raises(ValueError, match=message):
        model.fit(x, y, verbose=0)


@pytest.mark.filterwarnings("ignore:All local layers are frozen")
def test_a_frozen_model_stays_as_it_is():
    x, y = data(8)
    model = make()
    model.trainable = False
    model.compile(keras.optimizers.SGD(RATE))
    before = model.predict(x, verbose=0)
    model.fit(x, y, verbose=0)
    np.testing.assert_array_equal(model.predict(x, verbose=0), before)


@pytest.mark.only_on("torch")
def test_export_of_a_new_model(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    x, _ = data(4)
    model, path = make(), str(tmp_path / "model.onnx")
    model.export(path, format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(path)
    (found,) = session.run(None, {session.get_inputs()[0].name: x})
    np.testing.assert_allclose(
        found, model.predict(x, verbose=0), rtol=1e-4, atol=1e-5
    )


def test_local_layers_are_refused():
    # Gradients would cross none of them, and no objective would be learned.
    inputs = keras.Input((FEATURES,))
    _, goodness = layers.CAWDense(
        6, CLASSES, objectives=[objectives.SupervisedContrast()], name="local"
    )(inputs)
    with pytest.raises(ValueError, match="'local' .CAWDense. is a local layer"):
        DeepSupervisionModel(inputs, [goodness])
    with pytest.raises(TypeError, match="takes its inputs and its outputs"):
        DeepSupervisionModel([inputs, keras.layers.Dense(CLASSES)])


def test_temperatures_follow_the_epoch():
    x, y = data(8)
    inputs = keras.Input((FEATURES,))
    head = layers.ChannelClassAssignment(CLASSES, temperature_decay=0.5)
    model = DeepSupervisionModel(inputs, [head(inputs)])
    model.compile(keras.optimizers.SGD(0.0))
    start = numpy(head.current_temperature())
    model.fit(x, y, epochs=3, verbose=0)
    assert numpy(head.current_temperature()) == pytest.approx(start / 4)
