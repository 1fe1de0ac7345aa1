import keras
import numpy as np
import pytest
from tiny_models import CLASSES
from tiny_models import data
from tiny_models import numpy

from keras_ff import layers
from keras_ff.models import ForwardOnlyModel
from keras_ff.models import load_model
from keras_ff.models import localize
from keras_ff.models.cutting.cut_points import cut_points

pytestmark = pytest.mark.eager

SHAPE = (8, 8, 2)


def conv(x, filters, name):
    return keras.layers.Conv2D(
        filters, 3, padding="same", activation="relu", name=name
    )(x)


def residual():
    """first - [second, third] + shortcut - fourth."""
    inputs = keras.Input(SHAPE)
    x = conv(inputs, 4, "first")
    y = conv(x, 4, "second")
    y = conv(y, 4, "third")
    y = keras.layers.BatchNormalization(name="norm")(y)
    x = keras.layers.Add(name="add")([x, y])
    x = keras.layers.ReLU(name="relu")(x)
    x = conv(x, 6, "fourth")
    return keras.Model(inputs, x)


@pytest.mark.only_on("torch")
def test_cut_points_are_where_one_tensor_crosses():
    assert list(cut_points(residual())) == ["first", "add", "relu"]


@pytest.mark.only_on("torch")
def test_output_that_is_used_inside_crosses_to_the_end():
    inputs = keras.Input((4,))
    x = keras.layers.Dense(4, name="a")(inputs)
    y = keras.layers.Dense(4, name="b")(x)
    z = keras.layers.Dense(4, name="c")(y)
    assert list(cut_points(keras.Model(inputs, [z, x]))) == ["a"]
    # An input that is used again does not: each block can have it.
    z = keras.layers.Add(name="d")([z, inputs])
    assert list(cut_points(keras.Model(inputs, z))) == ["a", "b", "c"]


def test_features_of_the_blocks_are_those_of_the_model():
    original = residual()
    model = localize(original, CLASSES, cut=["first", "relu"])
    assert isinstance(model, ForwardOnlyModel)
    x, _ = data(4, SHAPE)
    features = x
    for layer in model.local_layers:
        features, _ = layer(features)
    np.testing.assert_allclose(
        numpy(features), numpy(original(x)), rtol=1e-5, atol=1e-6
    )
    # The weights are those of the given model.
    kernel = original.get_layer("fourth").kernel
    assert any(v is kernel for v in model.trainable_variables)


@pytest.mark.only_on("torch")
@pytest.mark.parametrize("cut, parts", [(1, 1), (2, 2), (3, 3)])
def test_cut_by_number(cut, parts):
    model = localize(residual(), CLASSES, cut=cut)
    assert len(model.local_layers) == parts
    for layer in model.local_layers:
        assert layer.layers[0].count_params() > 0
    if cut == 3:
        # After the activation, not before it.
        assert model.local_layers[1].layers[0].layers[-1].name == "relu"


@pytest.mark.only_on("torch")
@pytest.mark.eager(False)
def test_trains_locally_saves_and_loads(tmp_path):
    model = localize(residual(), CLASSES, cut=3, layer_metrics=True)
    model.compile(optimizer=keras.optimizers.Adam(0.01))
    x, y = data(48, SHAPE)
    before = [numpy(v) for v in model.trainable_variables]
    logs = model.fit(x, y, batch_size=16, epochs=4, verbose=0).history
    assert logs["loss"][-1] < logs["loss"][0]
    for variable, old in zip(model.trainable_variables, before):
        assert np.any(numpy(variable) != old), variable.path
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        loaded.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-5
    )


def test_goodness_of_ones_own():
    model = localize(
        residual(),
        CLASSES,
        cut=2,
        goodness=lambda k: layers.HypersphericalPrototypes(k),
    )
    for layer in model.local_layers:
        assert isinstance(layer.head, layers.HypersphericalPrototypes)


def with_top():
    model = residual()
    x = keras.layers.GlobalAveragePooling2D()(model.output)
    x = keras.layers.Dense(CLASSES, activation="softmax")(x)
    return keras.Model(model.input, x)


@pytest.mark.only_on("torch")
@pytest.mark.parametrize("cut", ["relu", ["relu"], np.int64(2)])
def test_ways_to_say_where(cut):
    model = localize(residual(), CLASSES, cut=cut)
    assert len(model.local_layers) == 2


def two_outputs():
    inputs = keras.Input((2,))
    outputs = [keras.layers.Dense(3)(inputs) for _ in range(2)]
    return keras.Model(inputs, outputs)


def local():
    return localize(residual(), CLASSES, cut=2)


def test_sequential():
    original = keras.Sequential(
        [keras.Input((6,)), keras.layers.Dense(5), keras.layers.Dense(4)]
    )
    model = localize(original, CLASSES, cut=2)
    assert [x.name for x in model.local_layers] == ["block_0", "block_1"]
    assert model.local_layers[0].weights[0] is original.weights[0]


@pytest.mark.only_on("torch")
@pytest.mark.parametrize(
    "make, cut, error, message",
    [
        (residual, ["second"], ValueError, r"after 'second'.*'first', 'add"),
        (residual, ["frst"], ValueError, r"no layer 'frst'.*\['first'\]"),
        (residual, ["add", "add"], ValueError, "names a layer twice"),
        (residual, 2.5, TypeError, "number of blocks or a list.*cut=2.5"),
        (with_top, 2, ValueError, "ends in a softmax"),
        (residual, 4, ValueError, r"into 4 blocks.*\['first', 'relu'\]"),
        (residual, 0, ValueError, "into 0 blocks.* only into 1 to 3"),
        (residual, ["zzz"], ValueError, r"Cut points: \['first', 'add', 're"),
        (residual, True, TypeError, "cut=True"),
        (lambda: 3, 2, TypeError, "sequential Keras model. Received: 3"),
        (keras.Sequential, 2, TypeError, "built sequential.*Sequential"),
        (local, 1, TypeError, "local layers already.*ForwardOnlyModel"),
        (
            two_outputs,
            2,
            ValueError,
            r"one output: take the one.*2 outputs, \[\(None, 3\)",
        ),
    ],
)
def test_bad_arguments(make, cut, error, message):
    with pytest.raises(error, match=message):
        localize(make(), CLASSES, cut=cut)


@pytest.mark.only_on("torch")
@pytest.mark.parametrize(
    "goodness", [layers.GoodnessProjection(CLASSES), 3, "caw"]
)
def test_goodness_is_made_for_every_block(goodness):
    with pytest.raises(TypeError, match="that makes the good.*Received: good"):
        localize(residual(), CLASSES, cut=2, goodness=goodness)


def test_optimizers_by_path_need_paths_that_copies_keep():
    dense = [keras.layers.Dense(4, name=name) for name in ("one", "two")]
    sequence = keras.Sequential([keras.Input((5,)), *dense], name="sequence")
    model = localize(sequence, 3, cut=["one"])

    def optimizer():
        return keras.optimizers.MultiOptimizer(
            keras.optimizers.OptimizerMap(
                keras.optimizers.Adam(), {"one/.*": keras.optimizers.SGD()}
            )
        )

    with pytest.raises(ValueError, match="'sequence/one/kernel' .*MultiOpt"):
        model.compile(optimizer())
    model.compile("adam")
    inputs = keras.Input((5,))
    x = keras.layers.Dense(4, name="one")(inputs)
    functional = keras.Model(inputs, keras.layers.Dense(4, name="two")(x))
    model = localize(functional, 3, cut=["one"])
    model.compile(optimizer())
    paths = [v.path for v in keras.models.clone_model(model).weights]
    assert paths == [v.path for v in model.weights]
