import keras
import numpy as np
import pytest
from keras import ops
from reference import numpy_reference as ref
from reference.arrays import normal
from reference.arrays import numpy

from keras_ff import layers
from keras_ff import losses
from keras_ff import regularizers

KERNEL = normal((3, 2, 2, 6), 1, scale=0.4)
ASSIGNMENT = normal((6, 3), 2)
X = normal((4, 6, 5, 2), 3, offset=0.2)
LABELS = np.array([2, 0, 1, 1])


def layer_with(log_temperature=-0.5, epoch=0, **kwargs):
    """A layer with the weights above."""
    layer = layers.CAWConv2D(
        6, (3, 2), num_classes=3, kernel_initializer="zeros", **kwargs
    )
    layer.build((None, 6, 5, 2))
    layer.kernel = KERNEL
    layer.assignment = ASSIGNMENT
    layer.log_temperature = log_temperature
    layer.head.epoch.assign(float(epoch))
    return layer


@pytest.mark.parametrize(
    ("strides", "padding", "dilation"),
    [
        ((1, 1), "valid", (1, 1)),
        ((1, 1), "same", (1, 1)),
        ((2, 2), "same", (1, 1)),
        ((2, 3), "valid", (1, 1)),
        ((1, 1), "same", (2, 2)),
    ],
)
def test_goodness_and_features(strides, padding, dilation):
    layer = layer_with(strides=strides, padding=padding, dilation_rate=dilation)
    features, goodness = layer(X)
    y = ref.relu(ref.conv2d(X, KERNEL, strides, padding, dilation))
    expected = ref.pool(y) @ ref.shares(ASSIGNMENT, -0.5)
    np.testing.assert_allclose(numpy(goodness), expected, atol=2e-6)
    np.testing.assert_allclose(numpy(features), ref.instance_norm(y), atol=2e-5)


def test_pooling_coefficients():
    layer = layer_with(pooling=(0.3, -0.2, 0.7), activation=None)
    _, goodness = layer(X)
    y = ref.conv2d(X, KERNEL)
    expected = ref.pool(y, (0.3, -0.2, 0.7)) @ ref.shares(ASSIGNMENT, -0.5)
    np.testing.assert_allclose(numpy(goodness), expected, atol=2e-6)


@pytest.mark.parametrize("normalization", ("group", "layer", "rms", None))
def test_normalizations(normalization):
    layer = layer_with(normalization=normalization)
    features, _ = layer(X)
    y = ref.relu(ref.conv2d(X, KERNEL))
    expected = {
        "group": lambda: ref.group_norm(y, 3),
        "layer": lambda: ref.layer_norm(y),
        "rms": lambda: ref.rms_norm(y),
        None: lambda: y,
    }[normalization]()
    np.testing.assert_allclose(numpy(features), expected, atol=2e-5)


def test_first_goodness_is_the_same_for_all_classes():
    """`W` starts at 0.5 everywhere and T at 10: every share is 1 / K."""
    layer = layers.CAWConv2D(6, (3, 2), num_classes=3)
    layer.build((None, 6, 5, 2))
    np.testing.assert_array_equal(numpy(layer.assignment), np.full((6, 3), 0.5))
    assert numpy(layer.log_temperature) == pytest.approx(np.log(10.0))
    assert layer.bias is None
    layer.kernel = KERNEL
    _, goodness = layer(X)
    pooled = ref.pool(ref.relu(ref.conv2d(X, KERNEL)))
    expected = np.tile(pooled.sum(1, keepdims=True) / 3, 3)
    np.testing.assert_allclose(numpy(goodness), expected, rtol=1e-5)


def test_kernel_starts_uniform_within_the_root_of_fan_in():
    layer = layers.CAWConv2D(100, 5, num_classes=10)
    layer.build((None, 32, 32, 3))
    kernel = numpy(layer.kernel)
    bound = 1 / np.sqrt(5 * 5 * 3)
    assert np.abs(kernel).max() <= bound * (1 + 1e-6)
    assert np.abs(kernel).max() > 0.99 * bound
    # The standard deviation of a uniform distribution, and its mean.
    assert kernel.std() == pytest.approx(bound / np.sqrt(3), rel=0.03)
    assert abs(kernel.mean()) < 0.03 * bound


@pytest.mark.parametrize("epoch", (0, 10, 50, 80))
def test_local_loss_as_published(epoch):
    layer = layer_with(epoch=epoch)
    _, goodness = layer(X)
    loss = losses.LocalCrossentropy(0.1)(LABELS, goodness)
    m = ref.shares(ASSIGNMENT, -0.5, epoch)
    logits = ref.pool(ref.relu(ref.conv2d(X, KERNEL))) @ m
    rows = ref.targets(LABELS, 3, 0.1)
    expected = ref.crossentropies(rows, logits).mean()
    assert numpy(loss) == pytest.approx(expected, rel=1e-6)
    entropy, orthogonality = [float(numpy(x)) for x in layer.losses]
    assert entropy == pytest.approx(1e-2 * ref.entropy(m), rel=1e-5)
    ramp = min(1.0, epoch / 50)
    assert orthogonality == pytest.approx(
        1e-3 * ramp * ref.orthogonality(m), rel=1e-5
    )
    total = numpy(loss) + entropy + orthogonality
    assert total == pytest.approx(expected + ref.penalty(m, epoch), rel=1e-6)


@pytest.mark.parametrize("epoch", (0, 3, 10))
def test_local_loss_with_normalized_penalties(epoch):
    layer = layer_with(
        epoch=epoch,
        assignment_regularizers=[
            regularizers.AssignmentEntropy(0.2, 5, "normalized"),
            regularizers.AssignmentOrthogonality(0.3, 0, "normalized"),
        ],
    )
    layer(X)
    m = ref.shares(ASSIGNMENT, -0.5, epoch)
    expected = [
        0.2 * min(1.0, epoch / 5) * ref.entropy(m, "normalized"),
        0.3 * ref.orthogonality(m, "normalized"),
    ]
    found = [float(numpy(x)) for x in layer.losses]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("log_temperature", "epoch", "expected"),
    [
        (np.log(10.0), 0, 10.0),
        (np.log(10.0), 100, 10.0 * 0.995**100),
        # Clipped first, then decayed: below the lower bound.
        (np.log(0.01), 0, 0.1),
        (np.log(0.01), 200, 0.1 * 0.995**200),
        (np.log(1e4), 0, 100.0),
        (np.log(1e4), 20, 100.0 * 0.995**20),
        (1000.0, 0, 100.0),
    ],
)
def test_temperature(log_temperature, epoch, expected):
    layer = layer_with(log_temperature, epoch)
    temperature = layer.head.current_temperature()
    assert numpy(temperature) == pytest.approx(expected, rel=1e-5)
    e = np.exp(ASSIGNMENT.astype("float64") / expected)
    np.testing.assert_allclose(
        numpy(layer.head.shares()),
        e / e.sum(1, keepdims=True),
        rtol=2e-4,
        atol=1e-9,
    )


def test_temperature_arguments():
    layer = layer_with(
        log_temperature=np.log(3.0),
        epoch=4,
        temperature=2.0,
        temperature_range=(1.0, 2.5),
        temperature_decay=0.5,
        learnable_temperature=False,
    )
    temperature = layer.head.current_temperature()
    assert numpy(temperature) == pytest.approx(2.5 * 0.5**4, rel=1e-6)
    assert len(layer.trainable_variables) == 2


def test_dropout_is_elementwise_and_before_the_goodness():
    layer = layer_with(normalization=None, padding="same")
    assert layer.dropout.rate == 0.1
    layer = layer_with(normalization=None, padding="same", dropout=0.4)
    x = normal((32, 6, 5, 2), 8)
    features, goodness = [numpy(v) for v in layer(x, training=True)]
    y = ref.relu(ref.conv2d(x, KERNEL, padding="same"))
    active = y > 1e-3
    dropped = active & (features == 0)
    kept = active & ~dropped
    np.testing.assert_allclose(features[kept], y[kept] / 0.6, rtol=1e-4)
    assert dropped.sum() / active.sum() == pytest.approx(0.4, abs=0.05)
    # Not whole channels: nearly every map has kept and dropped elements.
    both = dropped.any((1, 2)) & kept.any((1, 2))
    assert both.sum() > 0.9 * (active.sum((1, 2)) > 8).sum()
    # The goodness is that of the activation with dropout.
    expected = ref.pool(features) @ ref.shares(ASSIGNMENT, -0.5)
    np.testing.assert_allclose(goodness, expected, atol=2e-6)


@pytest.mark.parametrize(
    ("filters", "size", "left_out"),
    [(6, (3, 2), True), (6, (3, 5), False), (6, (6, 2), False)],
)
def test_instance_norm_is_left_out_where_the_map_is_one_pixel(
    filters, size, left_out
):
    layer = layers.CAWConv2D(
        filters, (3, 2), num_classes=3, kernel_initializer="zeros"
    )
    x = normal((4, *size, 2), 9)
    layer.build(x.shape)
    layer.kernel = KERNEL
    features, _ = layer(x)
    y = ref.relu(ref.conv2d(x, KERNEL))
    expected = y if left_out else ref.instance_norm(y)
    np.testing.assert_allclose(numpy(features), expected, atol=2e-5)


def test_one_filter_on_one_row_is_normalized():
    """One channel is not one pixel."""
    layer = layers.CAWConv2D(
        1, (1, 1), num_classes=2, kernel_initializer="zeros"
    )
    x = normal((4, 1, 5, 2), 9)
    layer.build(x.shape)
    kernel = np.array([1.0, -0.5], "float32").reshape(1, 1, 2, 1)
    layer.kernel = kernel
    features, _ = layer(x)
    expected = ref.instance_norm(ref.relu(ref.conv2d(x, kernel)))
    np.testing.assert_allclose(numpy(features), expected, atol=2e-5)


def test_any_map_size():
    layer = layer_with()
    inputs = keras.Input((None, None, 2))
    model = keras.Model(inputs, layer(inputs))
    assert model.output_shape == [(None, None, None, 6), (None, 3)]
    for x in (X, normal((2, 4, 7, 2), 10)):
        features, goodness = model(x)
        y = ref.relu(ref.conv2d(x, KERNEL))
        expected = ref.pool(y) @ ref.shares(ASSIGNMENT, -0.5)
        np.testing.assert_allclose(numpy(goodness), expected, atol=2e-6)
        np.testing.assert_allclose(
            numpy(features), ref.instance_norm(y), atol=2e-5
        )


def test_classes_need_not_divide_the_filters():
    layer = layers.CAWConv2D(7, 3, num_classes=5)
    _, goodness = layer(keras.Input((6, 5, 2)))
    assert tuple(goodness.shape) == (None, 5)
    assert layer.assignment.shape == (7, 5)


def test_weights_can_be_read_and_set():
    layer = layer_with(0.25)
    np.testing.assert_array_equal(numpy(layer.kernel), KERNEL)
    np.testing.assert_array_equal(numpy(layer.assignment), ASSIGNMENT)
    assert numpy(layer.log_temperature) == 0.25
    layer.assignment = np.zeros((6, 3))
    _, goodness = layer(X)
    assert np.ptp(numpy(goodness), axis=1).max() < 1e-5
    for variable in (layer.kernel, layer.assignment, layer.log_temperature):
        assert any(variable is v for v in layer.trainable_variables)


def test_assignment_initializer():
    layer = layers.CAWConv2D(
        6,
        (3, 2),
        num_classes=3,
        assignment_initializer=keras.initializers.Constant(ASSIGNMENT),
    )
    layer.build((None, 6, 5, 2))
    np.testing.assert_array_equal(numpy(layer.assignment), ASSIGNMENT)


def test_mixed_precision_statistics_are_float32():
    """Large activations, whose squares overflow float16."""
    keras.config.set_dtype_policy("mixed_float16")
    layer = layers.CAWConv2D(
        6, 1, num_classes=3, dropout=0.0, kernel_initializer="ones"
    )
    x = normal((4, 6, 5, 2), 4, scale=300.0)
    features, goodness = layer(x)
    y = numpy(layer.operation(x))
    assert y.max() > 300
    np.testing.assert_allclose(
        numpy(features), ref.instance_norm(y), atol=0.005
    )
    expected = np.tile(ref.pool(y).sum(1, keepdims=True) / 3, 3)
    np.testing.assert_allclose(numpy(goodness), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        ({"num_classes": 1}, ValueError, "num_classes=1"),
        ({"num_classes": 0}, ValueError, "num_classes=0"),
        ({"num_classes": -3}, ValueError, "num_classes=-3"),
        ({"num_classes": 2.0}, ValueError, "num_classes=2.0"),
        ({"num_classes": "10"}, ValueError, "num_classes='10'"),
        ({"num_classes": True}, ValueError, "num_classes=True"),
        ({"pooling": (1.0, 0.0)}, ValueError, r"pooling=\(1.0, 0.0\)"),
        ({"pooling": 5}, ValueError, "coefficients.*pooling=5"),
        ({"temperature": 0.0}, ValueError, "temperature=0.0"),
        ({"temperature": -1.0}, ValueError, "temperature=-1.0"),
        ({"temperature": 101.0}, ValueError, "temperature=101.0"),
        (
            {"temperature_range": (20.0, 30.0)},
            ValueError,
            r"temperature_range=\(20.0, 30.0\)",
        ),
        (
            {"temperature_range": (0.0, 30.0)},
            ValueError,
            r"temperature_range=\(0.0, 30.0\)",
        ),
        ({"temperature_decay": 0.0}, ValueError, "temperature_decay=0.0"),
        ({"temperature_decay": 1.01}, ValueError, "temperature_decay=1.01"),
        ({"normalization": "batch"}, ValueError, "normalization='batch'"),
        ({"normalization": 3}, ValueError, "normalization=3"),
        ({"dropout": 1.5}, ValueError, "1.5"),
        ({"filters": 0}, ValueError, "filters"),
        ({"kernel_size": 0}, ValueError, "kernel_size"),
        ({"padding": "everywhere"}, ValueError, "everywhere"),
        ({"color": 1}, (TypeError, ValueError), "color"),
        (
            {"assignment_regularizers": ["sparse"]},
            ValueError,
            "sparse",
        ),
    ],
)
def test_bad_arguments(kwargs, error, message):
    arguments = {"filters": 6, "kernel_size": 3, "num_classes": 3, **kwargs}
    with pytest.raises(error, match=message):
        layers.CAWConv2D(**arguments)


def test_input_of_the_wrong_rank():
    with pytest.raises(ValueError):
        layers.CAWConv2D(6, 3, num_classes=3)(normal((4, 6), 0))


def test_the_input_is_not_changed_by_training_on_it():
    """The layer stops the gradient, not the value."""
    layer = layer_with(normalization=None, dropout=0.0)
    features, _ = layer(ops.convert_to_tensor(X), training=True)
    y = ref.relu(ref.conv2d(X, KERNEL))
    np.testing.assert_allclose(numpy(features), y, atol=2e-6)
