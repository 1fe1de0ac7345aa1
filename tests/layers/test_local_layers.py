"""What every local layer must do. The layers are in `cases.py`."""

import keras
import numpy as np
import pytest
from cases import BATCH
from cases import DENSE_LAYERS
from cases import IMAGE_LAYERS
from cases import LAYERS
from cases import NUM_CLASSES
from cases import batch
from cases import built
from cases import dtype_of
from reference.arrays import numpy
from reference.arrays import perturb
from reference.backend import has_channels_first

from keras_ff import layers
from keras_ff import testing

# Python of ours, which is the same on all backends.
once = pytest.mark.only_on("torch")
# One of each kind; what they compute stands beside NumPy on all backends.
EVERYWHERE = (
    "caw_conv2d",
    "cw_conv1d",
    "prototype_dense",
    "ff_dense",
    "block_batch_norm",
)
each_layer = pytest.mark.parametrize("name", LAYERS)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in EVERYWHERE else [once])
        for name in LAYERS
    ],
)
def test_what_every_local_layer_must_do(name):
    case = LAYERS[name]
    held = testing.check_local_layer(
        case.make, case.input_shape, NUM_CLASSES, skip=case.skip
    )
    assert ("masks" in held) == ("conv1d" in name)
    assert ("unknown_sizes" in held) == (len(case.input_shape) > 1)


@pytest.mark.parametrize("policy", ("float64", "float16", "bfloat16"))
@pytest.mark.parametrize(
    "name", ("caw_conv2d", "prototype_conv2d", "ff_dense", "block_batch_norm")
)
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


@once
@each_layer
def test_number_of_trainable_variables(name):
    layer = built(name)
    assert len(layer.trainable_variables) == LAYERS[name].trainable


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
