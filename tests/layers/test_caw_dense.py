import numpy as np
import pytest
from reference import numpy_reference as ref
from reference.arrays import normal
from reference.arrays import numpy

from keras_ff import layers
from keras_ff import losses

KERNEL = normal((5, 6), 1, scale=0.4)
ASSIGNMENT = normal((6, 3), 2)
X = normal((4, 5), 3, offset=0.2)
LABELS = np.array([2, 0, 1, 1])


def layer_with(epoch=0, **kwargs):
    layer = layers.CAWDense(
        6, num_classes=3, kernel_initializer="zeros", **kwargs
    )
    layer.build((None, 5))
    layer.kernel = KERNEL
    layer.assignment = ASSIGNMENT
    layer.log_temperature = 0.3
    layer.head.epoch.assign(float(epoch))
    return layer


def activation():
    return ref.relu(X.astype("float64") @ KERNEL)


@pytest.mark.parametrize("normalization", ("layer", "group", "rms", None))
def test_goodness_and_features(normalization):
    features, goodness = layer_with(normalization=normalization)(X)
    y = activation()
    expected = {
        "group": lambda: ref.group_norm(y, 3),
        "layer": lambda: ref.layer_norm(y),
        "rms": lambda: ref.rms_norm(y),
        None: lambda: y,
    }[normalization]()
    np.testing.assert_allclose(numpy(features), expected, atol=2e-5)
    np.testing.assert_allclose(
        numpy(goodness), y @ ref.shares(ASSIGNMENT, 0.3), atol=2e-6
    )


def test_default_normalization_is_layer():
    features, _ = layer_with()(X)
    np.testing.assert_allclose(
        numpy(features), ref.layer_norm(activation()), atol=2e-5
    )


@pytest.mark.parametrize("epoch", (0, 25, 70))
def test_local_loss(epoch):
    layer = layer_with(epoch)
    _, goodness = layer(X)
    m = ref.shares(ASSIGNMENT, 0.3, epoch)
    rows = ref.targets(LABELS, 3, 0.1)
    expected = ref.crossentropies(rows, activation() @ m).mean()
    loss = losses.LocalCrossentropy(0.1)(LABELS, goodness)
    assert numpy(loss) == pytest.approx(expected, rel=1e-6)
    found = [float(numpy(x)) for x in layer.losses]
    ramp = min(1.0, epoch / 50)
    wanted = [1e-2 * ref.entropy(m), 1e-3 * ramp * ref.orthogonality(m)]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_bias_and_activation():
    layer = layer_with(use_bias=True, activation="tanh", normalization=None)
    bias = normal((6,), 5)
    layer.bias.assign(bias)
    features, goodness = layer(X)
    y = np.tanh(X.astype("float64") @ KERNEL + bias)
    np.testing.assert_allclose(numpy(features), y, atol=2e-6)
    np.testing.assert_allclose(
        numpy(goodness), y @ ref.shares(ASSIGNMENT, 0.3), atol=2e-6
    )


def test_kernel_starts_uniform_within_the_root_of_fan_in():
    layer = layers.CAWDense(200, num_classes=10)
    layer.build((None, 64))
    kernel = numpy(layer.kernel)
    assert np.abs(kernel).max() <= 1 / 8 * (1 + 1e-6)
    assert kernel.std() == pytest.approx(1 / 8 / np.sqrt(3), rel=0.03)
    assert layer.dropout.rate == 0.1


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"normalization": "batch"}, "normalization='batch'"),
        ({"num_classes": 1}, "num_classes=1"),
        ({"num_classes": 2.5}, "num_classes=2.5"),
        ({"units": 0}, "units"),
        ({"dropout": 2.0}, "2.0"),
        ({"temperature": 0.01}, "temperature=0.01"),
        ({"temperature_decay": -0.5}, "temperature_decay=-0.5"),
        ({"pooling": (1.0,)}, "pooling"),
    ],
)
def test_bad_arguments(kwargs, message):
    arguments = {"units": 6, "num_classes": 3, **kwargs}
    with pytest.raises(ValueError, match=message):
        layers.CAWDense(**arguments)


def test_units_that_do_not_fit_the_groups():
    layer = layers.CAWDense(7, num_classes=3, normalization="group")
    with pytest.raises(ValueError, match="7"):
        layer.build((None, 5))


@pytest.mark.parametrize(
    ("units", "normalization"), [(7, "instance"), (3, "group"), (1, "layer")]
)
def test_units_that_normalization_would_make_zero(units, normalization):
    layer = layers.CAWDense(units, num_classes=3, normalization=normalization)
    with pytest.raises(ValueError, match=f"every unit zero.*{units} units"):
        layer.build((None, 5))
