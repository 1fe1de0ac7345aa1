"""What every local layer must do. The layers are in `cases.py`."""

import inspect
import json

import keras
import numpy as np
import pytest
from cases import BATCH
from cases import DENSE_LAYERS
from cases import IMAGE_LAYERS
from cases import LAYERS
from cases import MIXED
from cases import NUM_CLASSES
from cases import PLAIN
from cases import batch
from cases import built
from cases import dtype_of
from keras import ops
from reference.arrays import normal
from reference.arrays import numpy
from reference.arrays import perturb
from reference.backend import gradients
from reference.backend import has_channels_first

from keras_ff import layers
from keras_ff import losses

# Python of ours, which is the same on all backends.
once = pytest.mark.only_on("torch")
each_layer = pytest.mark.parametrize("name", LAYERS)
each_plain_layer = pytest.mark.parametrize("name", PLAIN)


def local_loss(layer, x, training=False):
    labels = np.arange(BATCH) % NUM_CLASSES
    _, goodness = layer(ops.convert_to_tensor(x), training=training)
    loss = losses.LocalCrossentropy(0.1)(labels, goodness)
    return loss + sum(layer.losses)


@pytest.mark.parametrize(
    ("name", "policy"),
    [(name, "float32") for name in LAYERS]
    + [(name, policy) for name in PLAIN for policy in MIXED],
)
def test_shapes_and_dtypes_are_as_announced(name, policy):
    keras.config.set_dtype_policy(policy)
    case = LAYERS[name]
    layer = case.make()
    symbolic = layer(keras.Input(case.input_shape))
    announced = layer.compute_output_shape((None, *case.input_shape))
    outputs = layer(batch(case.input_shape))
    assert len(outputs) == len(symbolic) == len(announced) == 2
    for output, symbol, shape in zip(outputs, symbolic, announced):
        assert tuple(symbol.shape) == tuple(shape)
        assert tuple(output.shape) == (BATCH, *shape[1:])
        assert dtype_of(output) == symbol.dtype
    features, goodness = outputs
    assert dtype_of(features) == keras.config.dtype_policy().compute_dtype
    assert dtype_of(goodness) == "float32"
    assert tuple(goodness.shape) == (BATCH, NUM_CLASSES)
    assert {v.dtype for v in layer.trainable_variables} == {"float32"}


@pytest.mark.parametrize("policy", ("float64", "float16", "bfloat16"))
@each_plain_layer
def test_policies_of_one_dtype(name, policy):
    if policy == "float64" and keras.backend.backend() == "jax":
        pytest.skip("JAX computes in float32 unless told otherwise")
    keras.config.set_dtype_policy(policy)
    case = LAYERS[name]
    layer = case.make()
    symbolic = layer(keras.Input(case.input_shape))
    outputs = layer(batch(case.input_shape), training=True)
    score = "float64" if policy == "float64" else "float32"
    assert [dtype_of(x) for x in outputs] == [policy, score]
    assert [x.dtype for x in symbolic] == [policy, score]
    assert {v.dtype for v in layer.trainable_variables} <= {policy, score}
    for value in [*outputs, *layer.losses]:
        assert np.all(np.isfinite(numpy(value)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.CAWConv2D(6, 3, NUM_CLASSES),
        lambda: layers.CWConv2D(6, 3, NUM_CLASSES),
        lambda: layers.PrototypeConv2D(6, 3, NUM_CLASSES),
        lambda: layers.Whitening2D(),
    ],
)
@pytest.mark.parametrize("shape", [(8,), (8, 8), (2, 8, 8, 3)])
def test_images_only(make, shape):
    layer = make()
    message = rf"'{layer.name}' takes images: four axes.*of shape \(None, 8?"
    with pytest.raises(ValueError, match=message) as error:
        layer(keras.Input(shape))
    assert (", such as keras_ff.layers.CAWDense" in str(error.value)) == (
        not isinstance(layer, layers.Whitening2D)
    )


@each_layer
def test_config_has_every_argument(name):
    layer = LAYERS[name].make()
    config = layer.get_config()
    json.dumps(config)
    for base in type(layer).__mro__:
        parameters = inspect.signature(base.__init__).parameters.values()
        for parameter in parameters:
            if parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
                assert parameter.name in {*config, "self"}
        if base is type(layer):
            break
    assert config["dtype"]["config"]["name"] == "float32"
    assert config["name"] == layer.name


@once
@each_layer
def test_config_round_trip(name):
    case = LAYERS[name]
    layer = case.make()
    data = json.loads(
        json.dumps(keras.saving.serialize_keras_object(layer), default=list)
    )
    copy = keras.saving.deserialize_keras_object(data)
    assert type(copy) is type(layer)
    assert copy.get_config() == layer.get_config()

    layer.build((None, *case.input_shape))
    copy.build((None, *case.input_shape))
    assert len(copy.weights) == len(layer.weights)
    if "customized" in name:
        # The initializers are not random: they make the same weights.
        for a, b in zip(layer.weights, copy.weights):
            np.testing.assert_array_equal(numpy(a), numpy(b))
    perturb(layer)
    copy.set_weights(layer.get_weights())
    x = batch(case.input_shape)
    for a, b in zip(layer(x), copy(x)):
        np.testing.assert_allclose(numpy(a), numpy(b), rtol=1e-6)
    assert len(layer.losses) == len(copy.losses)
    for a, b in zip(layer.losses, copy.losses):
        np.testing.assert_allclose(numpy(a), numpy(b), rtol=1e-6)


def test_customized_layers_have_no_default_left():
    """Otherwise the round trip would not see an argument that gets lost."""
    plain = layers.CAWConv2D(6, 3, NUM_CLASSES).get_config()
    changed = LAYERS["caw_conv2d_customized"].make().get_config()
    same = {key for key in plain if plain[key] == changed[key]}
    allowed = {"trainable", "dtype", "num_classes", "padding", "data_format"}
    assert same <= allowed | {"dilation_rate"}
    plain = layers.CAWDense(6, NUM_CLASSES).get_config()
    changed = LAYERS["caw_dense_customized"].make().get_config()
    same = {key for key in plain if plain[key] == changed[key]}
    pooled = {"pooling", "learnable_temperature", "temperature_decay"}
    rest = {"units", "learnable_assignment", "activity_regularizer"}
    assert same <= allowed | pooled | rest


@once
@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("caw_conv2d", 2),
        ("caw_conv2d_customized", 5),
        ("cw_conv2d", 0),
        ("cw_conv2d_customized", 1),
        ("caw_dense", 2),
        ("caw_dense_customized", 3),
        ("prototype_conv2d", 0),
        ("prototype_conv2d_customized", 1),
        ("prototype_dense", 0),
        ("prototype_dense_customized", 1),
        ("ff_dense", 0),
        ("block_dense", 0),
        ("block_projected_map", 1),
    ],
)
def test_regularizers_are_among_the_losses(name, count):
    layer = built(name)
    for head in layer._flatten_layers():
        if hasattr(head, "epoch"):
            head.epoch.assign(1.0)
    x = batch(LAYERS[name].input_shape)
    layer(x)
    first = [float(numpy(loss)) for loss in layer.losses]
    assert len(first) == count
    assert all(loss > 0 for loss in first)
    # A second call replaces the losses of the first.
    layer(x)
    np.testing.assert_allclose([numpy(x) for x in layer.losses], first)


@each_layer
def test_saved_in_a_functional_model(name, tmp_path):
    case = LAYERS[name]
    inputs = keras.Input(case.input_shape)
    layer = case.make()
    model = keras.Model(inputs, layer(inputs))
    for i, variable in enumerate(layer.weights):
        # Non-trainable state (epochs, moving statistics) must survive too.
        if "seed" not in variable.path:
            variable.assign(numpy(variable) + 0.5 + 0.01 * i)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = batch(case.input_shape)
    for a, b in zip(model(x), loaded(x)):
        np.testing.assert_allclose(numpy(a), numpy(b), rtol=1e-6)
    for a, b in zip(model.weights, loaded.weights):
        np.testing.assert_array_equal(numpy(a), numpy(b))
    model.save_weights(tmp_path / "model.weights.h5")
    fresh = keras.models.clone_model(model)
    assert any(
        np.any(numpy(a) != numpy(b))
        for a, b in zip(model.weights, fresh.weights)
    )
    fresh.load_weights(tmp_path / "model.weights.h5")
    for a, b in zip(model(x), fresh(x)):
        np.testing.assert_allclose(numpy(a), numpy(b), rtol=1e-6)


@each_plain_layer
def test_mixed_precision_stays_close_to_float32(name):
    case = LAYERS[name]
    exact = built(name)
    x = batch(case.input_shape)
    wanted_outputs = [numpy(output) for output in exact(x)]
    wanted = scaled_gradients(exact, x)
    for policy, precision in MIXED.items():
        keras.config.set_dtype_policy(policy)
        mixed = case.make()
        mixed.build((None, *case.input_shape))
        mixed.set_weights(exact.get_weights())
        for a, b in zip(mixed(x), wanted_outputs):
            np.testing.assert_allclose(
                numpy(a), b, atol=16 * precision * np.std(b)
            )
        for a, b in zip(scaled_gradients(mixed, x), wanted):
            # Rounding may make two values of a map the joint maximum.
            error = np.linalg.norm(np.asarray(a, "float64") - b)
            assert error <= 0.2 * np.linalg.norm(b)


def scaled_gradients(layer, x):
    """With a loss scale, as float16 is trained."""
    return gradients(
        lambda: 1024.0 * local_loss(layer, x), layer.trainable_variables
    )


@each_plain_layer
def test_the_gradient_stays_in_the_layer(name):
    case = LAYERS[name]
    layer = built(name)
    x = keras.Variable(batch(case.input_shape))
    at_input, *at_weights = gradients(
        lambda: local_loss(layer, x, training=True),
        [x, *layer.trainable_variables],
    )
    np.testing.assert_array_equal(at_input, 0)
    for variable, gradient in zip(layer.trainable_variables, at_weights):
        assert np.any(gradient != 0), variable.path


@each_plain_layer
def test_features_carry_no_gradient(name):
    case = LAYERS[name]
    layer = built(name)
    x = keras.Variable(batch(case.input_shape))
    weights = normal(layer(x)[0].shape, 5)

    def objective():
        features, _ = layer(ops.convert_to_tensor(x))
        return ops.sum(ops.multiply(features, weights))

    assert numpy(objective()) != 0
    for gradient in gradients(objective, [x, *layer.trainable_variables]):
        np.testing.assert_array_equal(gradient, 0)


@each_layer
def test_number_of_trainable_variables(name):
    layer = built(name)
    assert len(layer.trainable_variables) == LAYERS[name].trainable
    paths = [v.path for v in layer.variables]
    assert len(set(paths)) == len(paths)
    layer.trainable = False
    assert layer.trainable_variables == []


@once
@each_layer
def test_training_flag(name):
    case = LAYERS[name]
    layer = built(name)
    x = batch(case.input_shape)
    inference = layer(x, training=False)
    default = layer(x)
    training = layer(x, training=True)
    for a, b, c in zip(inference, default, training):
        np.testing.assert_array_equal(numpy(a), numpy(b))
        differs = np.any(numpy(a) != numpy(c))
        assert differs == case.trains_differently


@pytest.mark.skipif(
    not has_channels_first(), reason="no channels-first convolution"
)
@pytest.mark.parametrize("name", IMAGE_LAYERS)
def test_channels_first(name):
    case = LAYERS[name]
    last = built(name)
    keras.config.set_image_data_format("channels_first")
    first = case.make()
    shape = (case.input_shape[2], *case.input_shape[:2])
    first.build((None, *shape))
    first.set_weights(last.get_weights())
    x = batch(case.input_shape)
    features, goodness = first(x.transpose(0, 3, 1, 2))
    announced, _ = first.compute_output_shape((BATCH, *shape))
    assert tuple(features.shape) == tuple(announced)
    expected_features, expected_goodness = last(x)
    np.testing.assert_allclose(
        numpy(features).transpose(0, 2, 3, 1),
        numpy(expected_features),
        atol=2e-5,
    )
    np.testing.assert_allclose(
        numpy(goodness), numpy(expected_goodness), atol=1e-5
    )


@pytest.mark.skipif(
    not has_channels_first(), reason="no channels-first convolution"
)
@pytest.mark.parametrize("make", (layers.CAWConv2D, layers.CWConv2D))
def test_data_format_argument_reaches_all_parts(make):
    last = make(6, 3, NUM_CLASSES)
    last.build((None, 6, 5, 2))
    perturb(last)
    first = make(6, 3, NUM_CLASSES, data_format="channels_first")
    x = batch((6, 5, 2))
    first.build((None, 2, 6, 5))
    first.set_weights(last.get_weights())
    features, goodness = first(x.transpose(0, 3, 1, 2))
    np.testing.assert_allclose(
        numpy(features).transpose(0, 2, 3, 1), numpy(last(x)[0]), atol=2e-5
    )
    np.testing.assert_allclose(numpy(goodness), numpy(last(x)[1]), atol=1e-5)


@once
@pytest.mark.parametrize("name", DENSE_LAYERS)
def test_dense_layers_have_no_data_format(name):
    last = built(name)
    keras.config.set_image_data_format("channels_first")
    first = LAYERS[name].make()
    x = batch(LAYERS[name].input_shape)
    first.build(x.shape)
    first.set_weights(last.get_weights())
    for a, b in zip(first(x), last(x)):
        np.testing.assert_allclose(numpy(a), numpy(b), atol=1e-6)


@pytest.mark.parametrize("normalization", ("group", "layer"))
def test_dense_layers_of_sequences_have_no_data_format(normalization):
    """The units of a dense layer are the last axis, whatever the setting."""
    last = layers.CAWDense(6, NUM_CLASSES, normalization=normalization)
    last.build((None, 4, 5))
    perturb(last)
    keras.config.set_image_data_format("channels_first")
    first = layers.CAWDense(6, NUM_CLASSES, normalization=normalization)
    first.build((None, 4, 5))
    first.set_weights(last.get_weights())
    for a, b in zip(first(batch((4, 5))), last(batch((4, 5)))):
        np.testing.assert_allclose(numpy(a), numpy(b), atol=1e-6)


@once
@each_layer
def test_standalone_call_builds_the_layer(name):
    case = LAYERS[name]
    layer = case.make()
    assert not layer.built
    features, goodness = layer(batch(case.input_shape))
    assert layer.built
    assert np.all(np.isfinite(numpy(features)))
    assert np.all(np.isfinite(numpy(goodness)))
    # A batch of another size, and the same sample alone, score the same.
    x = batch(case.input_shape)
    alone = layer(x[2:3])[1]
    np.testing.assert_allclose(
        numpy(alone), numpy(goodness)[2:3], atol=1e-5, rtol=1e-5
    )


@each_plain_layer
def test_learns_in_an_ordinary_model(name):
    case = LAYERS[name]
    labels = np.arange(64) % NUM_CLASSES
    templates = normal((NUM_CLASSES, *case.input_shape), 11, scale=2.0)
    x = templates[labels] + normal((64, *case.input_shape), 12, scale=0.3)
    inputs = keras.Input(case.input_shape)
    layer = case.make()
    _, goodness = layer(inputs)
    model = keras.Model(inputs, goodness)
    before = [numpy(v) for v in layer.trainable_variables]
    model.compile(
        optimizer=keras.optimizers.Adam(0.03),
        loss=losses.LocalCrossentropy(),
    )
    logs = model.fit(x, labels, batch_size=32, epochs=12, verbose=0).history
    assert logs["loss"][-1] < logs["loss"][0] - 0.02
    for variable, old in zip(layer.trainable_variables, before):
        assert np.any(numpy(variable) != old), variable.path
