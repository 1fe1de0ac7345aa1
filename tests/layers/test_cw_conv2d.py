import keras
import numpy as np
import pytest
from reference import numpy_reference as ref
from reference.arrays import normal
from reference.arrays import numpy

from keras_ff import layers

KERNEL = normal((3, 2, 2, 6), 1, scale=0.4)
X = normal((4, 6, 5, 2), 3, offset=0.2)


def layer_with(**kwargs):
    layer = layers.CWConv2D(
        6, (3, 2), num_classes=3, kernel_initializer="zeros", **kwargs
    )
    layer.build((None, 6, 5, 2))
    layer.kernel = KERNEL
    return layer


@pytest.mark.parametrize(
    ("strides", "padding"),
    [((1, 1), "valid"), ((1, 1), "same"), ((2, 2), "same"), ((2, 3), "valid")],
)
def test_goodness_and_features(strides, padding):
    layer = layer_with(strides=strides, padding=padding)
    features, goodness = layer(X)
    y = ref.relu(ref.conv2d(X, KERNEL, strides, padding))
    np.testing.assert_allclose(numpy(goodness), ref.group_mean(y, 3), atol=2e-6)
    np.testing.assert_allclose(numpy(features), ref.group_norm(y, 3), atol=2e-5)


@pytest.mark.parametrize("normalization", ("instance", "layer", "rms", None))
def test_normalizations(normalization):
    features, _ = layer_with(normalization=normalization)(X)
    y = ref.relu(ref.conv2d(X, KERNEL))
    expected = {
        "instance": lambda: ref.instance_norm(y),
        "layer": lambda: ref.layer_norm(y),
        "rms": lambda: ref.rms_norm(y),
        None: lambda: y,
    }[normalization]()
    np.testing.assert_allclose(numpy(features), expected, atol=2e-5)


def test_classes_are_contiguous_blocks_of_channels():
    """A kernel that copies the input: the groups can be read off."""
    layer = layers.CWConv2D(6, 1, num_classes=3, kernel_initializer="zeros")
    layer.build((None, 2, 2, 6))
    layer.kernel = np.eye(6).reshape(1, 1, 6, 6)
    x = np.zeros((6, 2, 2, 6), "float32")
    for channel in range(6):
        x[channel, 0, 1, channel] = 8.0
    _, goodness = layer(x)
    np.testing.assert_allclose(
        numpy(goodness), np.repeat(np.eye(3), 2, axis=0), atol=1e-6
    )


def test_defaults_as_published():
    layer = layers.CWConv2D(120, 3, num_classes=10)
    layer(keras.Input((8, 8, 40)))
    assert layer.losses == []
    assert layer.dropout.rate == 0.2
    assert layer.bias is None
    assert len(layer.weights) == 1
    kernel = numpy(layer.kernel)
    deviation = np.sqrt(2 / (3 * 3 * 120))
    assert kernel.std() == pytest.approx(deviation, rel=0.02)
    # Not truncated: a normal distribution has values beyond 3 deviations.
    assert np.abs(kernel).max() > 3 * deviation


def test_dropout_is_before_the_goodness():
    layer = layer_with(normalization=None, dropout=0.5)
    features, goodness = [numpy(v) for v in layer(X, training=True)]
    y = ref.relu(ref.conv2d(X, KERNEL))
    assert ((features == 0) & (y > 0)).any()
    np.testing.assert_allclose(goodness, ref.group_mean(features, 3), atol=2e-6)


def test_any_map_size():
    layer = layer_with()
    inputs = keras.Input((None, None, 2))
    model = keras.Model(inputs, layer(inputs))
    x = normal((2, 4, 7, 2), 10)
    features, goodness = model(x)
    y = ref.relu(ref.conv2d(x, KERNEL))
    np.testing.assert_allclose(numpy(goodness), ref.group_mean(y, 3), atol=2e-6)
    np.testing.assert_allclose(numpy(features), ref.group_norm(y, 3), atol=2e-5)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"filters": 7}, "filters=7, num_classes=3"),
        ({"filters": 2}, "filters=2, num_classes=3"),
        ({"num_classes": 1}, "num_classes=1"),
        ({"num_classes": 0}, "num_classes=0"),
        ({"num_classes": 3.0}, "num_classes=3.0"),
        ({"num_classes": "3"}, "num_classes='3'"),
        ({"normalization": "batch"}, "normalization='batch'"),
        ({"dropout": -0.1}, "-0.1"),
    ],
)
def test_bad_arguments(kwargs, message):
    arguments = {"filters": 6, "kernel_size": 3, "num_classes": 3, **kwargs}
    with pytest.raises(ValueError, match=message):
        layers.CWConv2D(**arguments)
