"""What every local layer and every goodness head must do.

A new local layer is one line in `LAYERS`, a new head one line in `HEADS`.
"""

import inspect
import json
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import pytest
from keras import ops
from reference import numpy_reference as ref
from reference.arrays import normal
from reference.arrays import numpy
from reference.arrays import perturb
from reference.backend import gradients
from reference.backend import has_channels_first

from keras_ff import layers
from keras_ff import losses
from keras_ff import regularizers

NUM_CLASSES = 3
BATCH = 8
# The spacing of the numbers next to 1.
MIXED = {"mixed_bfloat16": 2.0**-7, "mixed_float16": 2.0**-10}


class Case(NamedTuple):
    make: Callable
    input_shape: tuple
    trainable: int
    # Whether the outputs depend on `training`.
    trains_differently: bool = False


def constant(value):
    # JAX compiles a generator of random numbers for every shape; weights are
    # perturbed before they are used.
    return keras.initializers.Constant(value)


def map_channels():
    first = keras.config.image_data_format() == "channels_first"
    return 1 if first else -1


LAYERS = {
    "caw_conv2d": Case(
        lambda: layers.CAWConv2D(6, 3, NUM_CLASSES, padding="same"),
        (6, 5, 2),
        trainable=3,
        trains_differently=True,
    ),
    "caw_conv2d_customised": Case(
        lambda: layers.CAWConv2D(
            8,
            (3, 2),
            NUM_CLASSES,
            dropout=0.0,
            normalization="rms",
            strides=(2, 1),
            groups=2,
            activation="gelu",
            use_bias=True,
            kernel_initializer=constant(0.5),
            bias_initializer=constant(0.6),
            kernel_regularizer=keras.regularizers.L2(0.03),
            bias_regularizer=keras.regularizers.L1(0.02),
            activity_regularizer=keras.regularizers.L1(0.01),
            kernel_constraint=keras.constraints.MaxNorm(3.0),
            bias_constraint=keras.constraints.MaxNorm(2.0),
            pooling=(0.5, 0.2, 0.1),
            temperature=2.0,
            learnable_temperature=False,
            temperature_decay=0.9,
            temperature_range=(0.5, 4.0),
            assignment_initializer=constant(0.7),
            learnable_assignment=False,
            assignment_regularizers=[
                regularizers.AssignmentEntropy(0.1, 7, "normalized"),
                keras.regularizers.L2(0.04),
            ],
        ),
        (6, 5, 4),
        trainable=2,
    ),
    "cw_conv2d": Case(
        lambda: layers.CWConv2D(6, 3, NUM_CLASSES, padding="same"),
        (6, 5, 2),
        trainable=1,
        trains_differently=True,
    ),
    "cw_conv2d_customised": Case(
        lambda: layers.CWConv2D(
            9,
            2,
            NUM_CLASSES,
            dropout=0.0,
            normalization="layer",
            kernel_initializer=constant(0.5),
            kernel_regularizer=keras.regularizers.L1(0.02),
            dilation_rate=2,
            activation="softplus",
        ),
        (6, 5, 2),
        trainable=1,
    ),
    "caw_dense": Case(
        lambda: layers.CAWDense(6, NUM_CLASSES),
        (5,),
        trainable=3,
        trains_differently=True,
    ),
    "caw_dense_customised": Case(
        lambda: layers.CAWDense(
            6,
            NUM_CLASSES,
            activation="softplus",
            use_bias=True,
            dropout=0.0,
            normalization="group",
            kernel_initializer=constant(0.5),
            bias_initializer=constant(0.6),
            kernel_regularizer=keras.regularizers.L2(0.02),
            bias_regularizer=keras.regularizers.L1(0.02),
            kernel_constraint=keras.constraints.MaxNorm(3.0),
            bias_constraint=keras.constraints.MaxNorm(2.0),
            temperature=1.0,
            temperature_range=(0.2, 3.0),
            assignment_initializer=constant(0.7),
            assignment_regularizers=[
                regularizers.AssignmentOrthogonality(0.3, 0, "normalized")
            ],
        ),
        (5,),
        trainable=4,
    ),
    "prototype_conv2d": Case(
        lambda: layers.PrototypeConv2D(
            6, 3, NUM_CLASSES, embedding_size=5, padding="same"
        ),
        (6, 5, 2),
        trainable=3,
    ),
    "prototype_conv2d_customised": Case(
        lambda: layers.PrototypeConv2D(
            8,
            (3, 2),
            NUM_CLASSES,
            embedding_size=None,
            embedding_kernel_size=3,
            dropout=0.2,
            normalization="rms",
            use_bias=True,
            kernel_initializer=constant(0.5),
            kernel_regularizer=keras.regularizers.L2(0.03),
            prototypes_per_class=2,
            beta=4.0,
            pooling=2,
            prototype_initializer=constant(0.3),
            learnable_prototypes=False,
            epsilon=1e-4,
        ),
        (6, 5, 2),
        trainable=2,
        trains_differently=True,
    ),
    "prototype_dense": Case(
        lambda: layers.PrototypeDense(6, NUM_CLASSES),
        (5,),
        trainable=3,
    ),
    "prototype_dense_customised": Case(
        lambda: layers.PrototypeDense(
            6,
            NUM_CLASSES,
            embedding_size=4,
            embedding_initializer=constant(0.4),
            use_bias=False,
            dropout=0.2,
            normalization="layer",
            kernel_initializer=constant(0.5),
            kernel_regularizer=keras.regularizers.L2(0.03),
            activation="softplus",
            prototypes_per_class=2,
            beta=4.0,
            prototype_initializer=constant(0.3),
            learnable_prototypes=False,
            epsilon=1e-4,
        ),
        (5,),
        trainable=2,
        trains_differently=True,
    ),
    # Its candidates stand where other layers have classes.
    "ff_dense": Case(
        lambda: layers.FFDense(6),
        (NUM_CLASSES, 5),
        trainable=2,
    ),
    "ff_dense_customised": Case(
        lambda: layers.FFDense(
            6,
            reduction="mean",
            threshold=0.5,
            peer_normalization=0.03,
            peer_momentum=0.8,
            activation="softplus",
            use_bias=False,
            dropout=0.2,
            kernel_initializer=constant(0.5),
        ),
        (NUM_CLASSES, 5),
        trainable=1,
        trains_differently=True,
    ),
    "block_dense": Case(
        lambda: layers.LocalBlock(
            [
                keras.layers.Dense(6, kernel_initializer=constant(0.4)),
                keras.layers.ReLU(),
                keras.layers.Dropout(0.5),
            ],
            layers.GoodnessProjection(
                NUM_CLASSES, kernel_initializer=constant(0.9)
            ),
            normalization="layer",
        ),
        (5,),
        trainable=3,
        trains_differently=True,
    ),
    "block_batch_norm": Case(
        lambda: layers.LocalBlock(
            [
                keras.layers.Conv2D(
                    6,
                    3,
                    padding="same",
                    use_bias=False,
                    kernel_initializer=constant(0.4),
                ),
                keras.layers.BatchNormalization(axis=map_channels()),
                keras.layers.ReLU(),
            ],
            layers.ChannelGroups(NUM_CLASSES),
            normalization="group",
        ),
        (6, 5, 2),
        trainable=3,
        trains_differently=True,
    ),
    "block_projected_map": Case(
        lambda: layers.LocalBlock(
            keras.layers.Conv2D(
                6,
                3,
                padding="same",
                activation="relu",
                kernel_initializer=constant(0.4),
            ),
            layers.GoodnessProjection(
                NUM_CLASSES,
                use_bias=True,
                kernel_initializer=constant(0.9),
                kernel_regularizer=keras.regularizers.L2(0.1),
            ),
        ),
        (6, 5, 2),
        trainable=4,
    ),
}


class Head(NamedTuple):
    make: Callable
    input_shape: tuple
    # Class scores in NumPy, from the head and an activation.
    reference: Callable
    trainable: int


def _assigned(head, x):
    m = ref.shares(numpy(head.assignment), numpy(head.log_temperature))
    return ref.pool(x) @ m


def _assigned_dense(head, x):
    m = ref.shares(numpy(head.assignment), numpy(head.log_temperature))
    return x @ m


def _projected(head, x):
    return x.reshape(len(x), -1, x.shape[-1]).mean(1) @ numpy(
        head.projection.kernel
    )


def _projected_flat(head, x):
    return x.reshape(len(x), -1) @ numpy(head.projection.kernel) + numpy(
        head.projection.bias
    )


def _prototypes(head, x):
    return ref.prototype_scores(x, numpy(head.prototypes), head.beta)


def _embedded_prototypes(head, x):
    u = x.reshape(len(x), -1, x.shape[-1]).mean(1)
    u = u @ numpy(head.embedding.kernel)
    return ref.prototype_scores(u, numpy(head.prototypes), head.beta)


def _grid_prototypes(head, x):
    u = ref.average_pool(x, 2).reshape(len(x), -1)
    return ref.prototype_scores(u, numpy(head.prototypes), head.beta)


HEADS = {
    "prototypes": Head(
        lambda: layers.HypersphericalPrototypes(
            NUM_CLASSES, prototype_initializer=constant(0.2)
        ),
        (6,),
        _prototypes,
        1,
    ),
    "prototypes_several": Head(
        lambda: layers.HypersphericalPrototypes(
            NUM_CLASSES,
            prototypes_per_class=3,
            beta=5.0,
            prototype_initializer=constant(0.2),
        ),
        (6,),
        _prototypes,
        1,
    ),
    "prototypes_embedded_map": Head(
        lambda: layers.HypersphericalPrototypes(
            NUM_CLASSES,
            # Linear: the mean may be taken before or after it.
            embedding=keras.layers.Dense(
                5,
                use_bias=False,
                kernel_initializer=constant(0.4),
                dtype="float32",
            ),
            prototype_initializer=constant(0.2),
        ),
        (5, 6),
        _embedded_prototypes,
        2,
    ),
    "prototypes_grid": Head(
        lambda: layers.HypersphericalPrototypes(
            NUM_CLASSES,
            prototypes_per_class=2,
            pooling=2,
            prototype_initializer=constant(0.2),
        ),
        (4, 4, 3),
        _grid_prototypes,
        1,
    ),
    "groups": Head(
        lambda: layers.ChannelGroups(NUM_CLASSES),
        (4, 5, 6),
        lambda head, x: ref.group_mean(x, NUM_CLASSES),
        0,
    ),
    "groups_dense": Head(
        lambda: layers.ChannelGroups(NUM_CLASSES),
        (9,),
        lambda head, x: ref.group_mean(x, NUM_CLASSES),
        0,
    ),
    "groups_sequence": Head(
        lambda: layers.ChannelGroups(NUM_CLASSES),
        (5, 6),
        lambda head, x: ref.group_mean(x, NUM_CLASSES),
        0,
    ),
    "assignment": Head(
        lambda: layers.ChannelClassAssignment(NUM_CLASSES),
        (4, 5, 7),
        _assigned,
        2,
    ),
    "assignment_dense": Head(
        lambda: layers.ChannelClassAssignment(NUM_CLASSES),
        (7,),
        _assigned_dense,
        2,
    ),
    "assignment_sequence": Head(
        lambda: layers.ChannelClassAssignment(NUM_CLASSES),
        (5, 7),
        _assigned,
        2,
    ),
    "projection": Head(
        lambda: layers.GoodnessProjection(
            NUM_CLASSES, kernel_initializer=constant(0.1)
        ),
        (4, 5, 6),
        _projected,
        1,
    ),
    "projection_dense": Head(
        lambda: layers.GoodnessProjection(
            NUM_CLASSES, kernel_initializer=constant(0.1)
        ),
        (6,),
        _projected,
        1,
    ),
    "projection_flat": Head(
        lambda: layers.GoodnessProjection(
            NUM_CLASSES,
            pooling="flatten",
            use_bias=True,
            kernel_initializer=constant(0.1),
        ),
        (3, 2, 4),
        _projected_flat,
        2,
    ),
}

PLAIN = [name for name in LAYERS if "customised" not in name]

each_layer = pytest.mark.parametrize("name", LAYERS)
each_plain_layer = pytest.mark.parametrize("name", PLAIN)
each_head = pytest.mark.parametrize("name", HEADS)
each_policy = pytest.mark.parametrize("policy", ("float32", *MIXED))


def batch(shape, seed=0):
    return normal((BATCH, *shape), seed)


def built(name):
    """A layer whose weights are all off their initial values."""
    case = LAYERS[name]
    layer = case.make()
    layer.build((None, *case.input_shape))
    return perturb(layer)


def local_loss(layer, x, training=False):
    labels = np.arange(BATCH) % NUM_CLASSES
    _, goodness = layer(ops.convert_to_tensor(x), training=training)
    loss = losses.LocalCrossentropy(0.1)(labels, goodness)
    return loss + sum(layer.losses)


def dtype_of(tensor):
    return keras.backend.standardize_dtype(tensor.dtype)


# Local layers


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
    if "customised" in name:
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


def test_customised_layers_have_no_default_left():
    """Otherwise the round trip would not see an argument that gets lost."""
    plain = layers.CAWConv2D(6, 3, NUM_CLASSES).get_config()
    changed = LAYERS["caw_conv2d_customised"].make().get_config()
    same = {key for key in plain if plain[key] == changed[key]}
    allowed = {"trainable", "dtype", "num_classes", "padding", "data_format"}
    assert same <= allowed | {"dilation_rate"}
    plain = layers.CAWDense(6, NUM_CLASSES).get_config()
    changed = LAYERS["caw_dense_customised"].make().get_config()
    same = {key for key in plain if plain[key] == changed[key]}
    pooled = {"pooling", "learnable_temperature", "temperature_decay"}
    rest = {"units", "learnable_assignment", "activity_regularizer"}
    assert same <= allowed | pooled | rest


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("caw_conv2d", 2),
        ("caw_conv2d_customised", 5),
        ("cw_conv2d", 0),
        ("cw_conv2d_customised", 1),
        ("caw_dense", 2),
        ("caw_dense_customised", 3),
        ("prototype_conv2d", 0),
        ("prototype_conv2d_customised", 1),
        ("prototype_dense", 0),
        ("prototype_dense_customised", 1),
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


IMAGE_LAYERS = [n for n, c in LAYERS.items() if len(c.input_shape) == 3]


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


@pytest.mark.parametrize("name", [n for n in LAYERS if n not in IMAGE_LAYERS])
def test_dense_layers_have_no_data_format(name):
    last = built(name)
    keras.config.set_image_data_format("channels_first")
    first = LAYERS[name].make()
    x = batch(LAYERS[name].input_shape)
    first.build(x.shape)
    first.set_weights(last.get_weights())
    for a, b in zip(first(x), last(x)):
        np.testing.assert_allclose(numpy(a), numpy(b), atol=1e-6)


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


# Goodness heads


def built_head(name):
    head = HEADS[name].make()
    head.build((None, *HEADS[name].input_shape))
    return perturb(head)


@each_policy
@each_head
def test_head_scores(name, policy):
    """In float32 whatever the policy: inputs are exact in bfloat16."""
    keras.config.set_dtype_policy(policy)
    case = HEADS[name]
    head = built_head(name)
    x = np.round(batch(case.input_shape, 2) * 16) / 16
    goodness = head(ops.convert_to_tensor(x))
    assert dtype_of(goodness) == "float32"
    np.testing.assert_allclose(
        numpy(goodness),
        case.reference(head, x.astype("float64")),
        atol=2e-6,
        rtol=2e-6,
    )


@each_head
def test_head_scores_channels_first(name):
    case = HEADS[name]
    keras.config.set_image_data_format("channels_first")
    head = case.make()
    if getattr(head, "pooling", None) in ("flatten", 2):
        pytest.skip("flattening depends on the order of the axes")
    if getattr(head, "embedding", None):
        pytest.skip("the embedding is channels last")
    x = batch(case.input_shape, 2)
    first = np.moveaxis(x, -1, 1)
    head.build(first.shape)
    perturb(head)
    np.testing.assert_allclose(
        numpy(head(first)), case.reference(head, x), atol=2e-6, rtol=2e-6
    )


@each_policy
@each_head
def test_head_shapes_and_dtypes_are_as_announced(name, policy):
    keras.config.set_dtype_policy(policy)
    case = HEADS[name]
    head = case.make()
    symbolic = head(keras.Input(case.input_shape))
    output = head(batch(case.input_shape))
    assert tuple(symbolic.shape) == (None, NUM_CLASSES)
    assert tuple(output.shape) == (BATCH, NUM_CLASSES)
    announced = head.compute_output_shape((None, *case.input_shape))
    assert tuple(announced) == (None, NUM_CLASSES)
    assert symbolic.dtype == dtype_of(output) == "float32"


@each_head
def test_head_config_round_trip(name):
    case = HEADS[name]
    head = case.make()
    config = json.loads(json.dumps(head.get_config(), default=list))
    copy = type(head).from_config(config)
    assert copy.get_config() == head.get_config()
    parameters = inspect.signature(type(head).__init__).parameters.values()
    for parameter in parameters:
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            assert parameter.name in {*config, "self"}


@each_head
def test_head_saved_in_a_functional_model(name, tmp_path):
    case = HEADS[name]
    head = built_head(name)
    inputs = keras.Input(case.input_shape)
    model = keras.Model(inputs, head(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = batch(case.input_shape)
    np.testing.assert_array_equal(numpy(loaded(x)), numpy(model(x)))


@each_head
def test_head_number_of_trainable_variables(name):
    assert len(built_head(name).trainable_variables) == HEADS[name].trainable


@each_head
def test_head_is_differentiable(name):
    """A head does not stop the gradient: its local layer does."""
    case = HEADS[name]
    head = built_head(name)
    start = normal((2, *case.input_shape), 4)
    x = keras.Variable(start)
    weights = normal((2, NUM_CLASSES), 6)

    def objective():
        return ops.sum(ops.multiply(head(ops.convert_to_tensor(x)), weights))

    (found,) = gradients(objective, [x])
    expected = ref.numeric_gradient(
        lambda a: (case.reference(head, a) * weights).sum(), start
    )
    np.testing.assert_allclose(found, expected, atol=1e-6, rtol=1e-5)
