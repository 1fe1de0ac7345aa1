"""Models of the first layers of another."""

import keras
import numpy as np
import pytest
from tiny_models import CLASSES
from tiny_models import FEATURES
from tiny_models import Weights
from tiny_models import assert_close
from tiny_models import assert_same
from tiny_models import branched_model
from tiny_models import caw_dense
from tiny_models import data
from tiny_models import dense_model
from tiny_models import numpy
from tiny_models import rich_model
from tiny_models import state

from keras_ff import layers
from keras_ff.contributions import Interval
from keras_ff.contributions import Last
from keras_ff.contributions import LossAware
from keras_ff.contributions import Uniform
from keras_ff.models import ForwardForwardModel
from keras_ff.models import ForwardOnlyModel
from keras_ff.models import load_model

pytestmark = pytest.mark.eager


def names(model):
    return [layer.name for layer in model.local_layers]


def train(model):
    # Tracing by TensorFlow would take longer than all else.
    model.compile(optimizer=keras.optimizers.SGD(0.1))
    model.train_on_batch(*data(8))


@pytest.mark.only_on("torch")
def test_first_layers_with_weights_and_options_of_their_own():
    model = dense_model(
        3, contribution=LossAware(), layer_clipnorm=0.5, layer_metrics=True
    )
    model._readout.contribution_weights.assign([0.3, 0.2, 0.5])
    model.epoch = 4
    before = state(model)
    small = model.truncate(2)
    assert type(small) is ForwardOnlyModel and names(small) == names(model)[:2]
    assert isinstance(small.contribution, LossAware)
    assert not small.compiled and small.epoch == 4
    readout = small.get_layer("readout")
    assert readout.layer_clipnorm == 0.5 and readout.layer_metrics

    # w = softmax(-L) over fewer layers: the same, divided by their sum.
    assert_close([small.contribution.weights], [np.array([0.6, 0.4])])
    x, _ = data(9, seed=2)
    goodness = model.goodness(x)[:, :2]
    assert_close([small.goodness(x)], [goodness])
    expected = 0.6 * goodness[:, 0] + 0.4 * goodness[:, 1]
    assert_close([small.predict(x, verbose=0)], [expected])

    train(small)
    assert np.abs(small.goodness(x) - goodness).max() > 0.01
    assert_same(state(model), before)


def test_it_saves_and_goes_on_as_the_first_layers_would(tmp_path):
    # Dropout, batch normalization, an assignment with a temperature.
    model = rich_model()
    for variable in model.variables:
        if variable.dtype == "float32":
            variable.assign(numpy(variable) + 0.1)
    small = model.truncate("local_0")
    small.save(tmp_path / "small.keras")
    loaded = load_model(tmp_path / "small.keras")
    assert names(loaded) == ["local_0"]
    assert_same(state(loaded), state(small))
    x, _ = data(9, seed=2)
    expected = model.goodness(x)[:, 0]
    loaded._readout.contribution_weights.assign([1.0])
    assert_close([loaded.predict(x, verbose=0)], [expected])
    train(model)
    train(loaded)
    actual = model.goodness(x)[:, 0]
    assert np.abs(actual - expected).max() > 0.01
    assert_close([loaded.goodness(x)[:, 0]], [actual], 1e-4, 1e-5)


@pytest.mark.parametrize("k, kept", [(3, "abc"), ("b", "ab"), (1, "a")])
def test_graph_is_cut_in_the_order_of_its_layers(k, kept):
    model = branched_model([0.7, 2.0, 1.0, 0.4, 1.5])
    number = {name: i for i, name in enumerate(names(model))}
    small = model.truncate(k)
    # In the order of the goodness of the full model.
    expected = sorted(kept, key=number.get)
    assert names(small) == expected
    index = [number[name] for name in expected]
    x, _ = data(6)
    goodness = model.goodness(x)[:, index]
    assert_close([small.goodness(x)], [goodness])
    # They did not sum to one, so they stay.
    weights = np.array([0.7, 2.0, 1.0, 0.4, 1.5])[index]
    assert_close([small.contribution.weights], [weights])
    prediction = np.einsum("nlc,l->nc", goodness, weights)
    assert_close([small.predict(x, verbose=0)], [prediction])


@pytest.mark.only_on("torch")
def test_without_a_number_it_predicts_the_same_with_fewer_layers():
    model = dense_model(4, contribution=Interval())
    model._readout.contribution_weights.assign([0.0, 1.0, 1.0, 0.0])
    small = model.truncate()
    assert names(small) == ["local_0", "local_1", "local_2"]
    assert_same([small.contribution.weights], [np.array([0.0, 1.0, 1.0])])
    x, _ = data(6)
    assert_close([small.predict(x, verbose=0)], [model.predict(x, verbose=0)])
    # All contribute: a copy.
    assert names(dense_model(3).truncate()) == ["local_0", "local_1", "local_2"]
    # The features of 'side' end there; it does not contribute.
    small = branched_model([1.0, 0.0, 0.0, 0.0, 0.0]).truncate()
    assert set(names(small)) == {"a", "b", "c"}


@pytest.mark.only_on("torch")
def test_contribution_starts_anew_if_none_is_left():
    model = dense_model(3, contribution=Last())
    small = model.truncate(2)
    assert_same([small.contribution.weights], [np.array([0.0, 1.0])])
    x, _ = data(6)
    assert_close([small.predict(x, verbose=0)], [model.goodness(x)[:, 1]])


def test_early_exit_of_a_truncated_model():
    model = dense_model(3, contribution=Weights([2.0, 0.0, 0.5]))
    x, _ = data(6)
    _, layers_used = model.truncate(2).predict_early_exit(x, 1.0)
    assert set(layers_used) == {1}


@pytest.mark.only_on("torch")
@pytest.mark.parametrize("k", [0, 4, -1])
def test_number_that_is_no_layer(k):
    match = f"from 1 to 3, .*Received: k={k}. Local layers: .*'local_2'"
    with pytest.raises(ValueError, match=match):
        dense_model(3).truncate(k)


@pytest.mark.only_on("torch")
def test_name_that_is_no_local_layer():
    model = ForwardOnlyModel(
        [
            keras.Input((FEATURES,)),
            keras.layers.Rescaling(2.0, name="rescaling"),
            layers.CAWDense(6, CLASSES, name="first"),
        ]
    )
    for name in ("rescaling", "readout", "nothing"):
        match = f"Received: k='{name}'. Local layers: .'first'"
        with pytest.raises(ValueError, match=match):
            model.truncate(name)


@pytest.mark.only_on("torch")
@pytest.mark.parametrize("k", [1.0, True, ["local_0"]])
def test_neither_number_nor_name(k):
    with pytest.raises(TypeError, match="of type " + type(k).__name__):
        dense_model(3).truncate(k)


@pytest.mark.only_on("torch")
def test_forward_forward_is_not_truncated():
    model = ForwardForwardModel(
        [keras.Input((FEATURES,)), layers.FFDense(8), layers.FFDense(8)],
        num_classes=CLASSES,
    )
    with pytest.raises(TypeError, match="cannot be truncated: its read-out"):
        model.truncate(1)


def test_layers_and_functions_that_only_this_process_knows():
    scale = 3.0

    class Doubled(keras.layers.Layer):
        def call(self, inputs):
            return 2 * inputs

        def compute_output_shape(self, input_shape):
            return input_shape

    class Halves(Uniform):
        def initial_weights(self, num_layers):
            return np.full(num_layers, 0.5, "float32")

    def bounded(x):
        return keras.ops.tanh(x)

    model = ForwardOnlyModel(
        [
            keras.Input((FEATURES,)),
            # Functions that use names of this file and of this test.
            keras.layers.Lambda(lambda x: keras.ops.tanh(x) / scale),
            Doubled(),
            layers.LocalBlock(
                [
                    keras.layers.Dense(4),
                    Doubled(),
                    keras.layers.Lambda(lambda x: keras.ops.exp(x) / scale),
                    keras.layers.Lambda(bounded),
                ],
                layers.GoodnessProjection(CLASSES),
            ),
            caw_dense("last"),
        ],
        contribution=Halves(),
    )
    small = model.truncate()
    x, _ = data(6)
    assert_close([small.predict(x, verbose=0)], [model.predict(x, verbose=0)])
    assert isinstance(small.contribution, Halves)
    shared = {id(v) for v in small.variables} & {id(v) for v in model.variables}
    assert not shared
    assert bounded.__name__ == "bounded"
    assert model.layers[1].function.__name__ == "<lambda>"


@pytest.mark.only_on("torch")
@pytest.mark.filterwarnings("ignore:Layer .* `quantize` method")
def test_a_model_in_float8():
    # Keras makes the variables of its copy in another order.
    model = dense_model()
    model.quantize("float8")
    model.compile("sgd")
    x, y = data(8)
    model.fit(x, y, verbose=0)
    np.testing.assert_array_equal(
        model.truncate().predict(x, verbose=0), model.predict(x, verbose=0)
    )
