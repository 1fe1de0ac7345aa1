"""Goodness, losses and gradients of fixed weights and a fixed batch.

Every backend is held against float64 NumPy to float32 round-off, which is
what makes the backends equal to each other. The gradients of the reference
are central differences.
"""

import keras
import numpy as np
import pytest
from keras import ops
from reference import numpy_reference as ref
from reference.arrays import normal
from reference.arrays import numpy
from reference.backend import gradients

from keras_ff import layers
from keras_ff import losses
from keras_ff import regularizers

X = normal((5, 6, 5, 2), 3, offset=0.2)
LABELS = np.array([2, 0, 1, 1, 2])
KERNEL = normal((3, 2, 2, 6), 1, scale=0.4)
ASSIGNMENT = normal((6, 3), 2)


def local_loss(layer, x, labels=LABELS, training=None):
    _, goodness = layer(x, training=training)
    loss = losses.LocalCrossentropy(label_smoothing=0.1)(labels, goodness)
    return loss + sum(layer.losses)


def close(found, expected):
    """To float32 round-off of an array of this size of values."""
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=3e-6 * scale)


@pytest.mark.parametrize(
    ("strides", "padding", "epoch"),
    [((1, 1), "same", 0), ((2, 2), "same", 30), ((1, 1), "valid", 80)],
)
def test_caw_conv2d(strides, padding, epoch):
    layer = layers.CAWConv2D(
        6,
        (3, 2),
        num_classes=3,
        strides=strides,
        padding=padding,
        dropout=0.0,
        kernel_initializer="zeros",
    )
    layer.build(X.shape)
    layer.kernel, layer.assignment = KERNEL, ASSIGNMENT
    layer.log_temperature = 0.4
    layer.head.epoch.assign(float(epoch))
    rows = ref.targets(LABELS, 3, 0.1)

    def reference(kernel=KERNEL, assignment=ASSIGNMENT, log_t=0.4):
        y = ref.relu(ref.conv2d(X, kernel, strides, padding))
        m = ref.shares(assignment, log_t, epoch)
        loss = ref.crossentropies(rows, ref.pool(y) @ m).mean()
        return loss + ref.penalty(m, epoch)

    loss = local_loss(layer, X, training=True)
    assert numpy(loss) == pytest.approx(reference(), rel=1e-6)
    found = gradients(
        lambda: local_loss(layer, X, training=True),
        [layer.kernel, layer.assignment, layer.log_temperature],
    )
    close(found[0], ref.numeric_gradient(lambda a: reference(a), KERNEL))
    close(
        found[1],
        ref.numeric_gradient(lambda a: reference(assignment=a), ASSIGNMENT),
    )
    close(found[2], ref.numeric_gradient(lambda a: reference(log_t=a), 0.4))


@pytest.mark.parametrize(
    ("log_temperature", "is_clipped"),
    [(0.4, False), (np.log(0.1) - 0.5, True), (np.log(100.0) + 0.5, True)],
)
def test_the_clip_cuts_the_gradient_of_the_temperature(
    log_temperature, is_clipped
):
    layer = layers.CAWConv2D(
        6, (3, 2), num_classes=3, kernel_initializer="zeros"
    )
    layer.build(X.shape)
    layer.kernel, layer.assignment = KERNEL, ASSIGNMENT
    layer.log_temperature = log_temperature
    found = gradients(
        lambda: local_loss(layer, X), [layer.log_temperature, layer.assignment]
    )
    assert (found[0] == 0) == is_clipped
    assert np.any(found[1] != 0)


def test_an_even_assignment_gives_the_kernel_no_gradient():
    """At the start every class has the same share of every channel."""
    layer = layers.CAWConv2D(
        6, (3, 2), num_classes=3, dropout=0.0, kernel_initializer="zeros"
    )
    layer.build(X.shape)
    layer.kernel = KERNEL
    kernel, assignment = gradients(
        lambda: local_loss(layer, X), [layer.kernel, layer.assignment]
    )
    np.testing.assert_allclose(kernel, 0, atol=1e-7)
    rows = ref.targets(LABELS, 3, 0.1)
    pooled = ref.pool(ref.relu(ref.conv2d(X, KERNEL)))

    def reference(w):
        m = ref.shares(w, np.log(10.0))
        return ref.crossentropies(rows, pooled @ m).mean() + ref.penalty(m, 0)

    close(assignment, ref.numeric_gradient(reference, np.full((6, 3), 0.5)))


@pytest.mark.parametrize("scale", ("published", "normalized"))
@pytest.mark.parametrize("kind", ("entropy", "orthogonality"))
def test_gradients_of_the_regularizers(kind, scale):
    """Alone: next to the loss the published orthogonality is nil."""
    make, penalty = {
        "entropy": (regularizers.AssignmentEntropy, ref.entropy),
        "orthogonality": (
            regularizers.AssignmentOrthogonality,
            ref.orthogonality,
        ),
    }[kind]
    head = layers.ChannelClassAssignment(
        3, assignment_regularizers=[make(0.7, 0, scale)]
    )
    head.build((None, 6))
    head.assignment.assign(ASSIGNMENT)
    head.log_temperature.assign(0.4)

    def objective():
        head(np.ones((2, 6), "float32"))
        return sum(head.losses)

    def reference(w, log_t):
        return 0.7 * penalty(ref.shares(w, log_t), scale)

    found = gradients(objective, [head.assignment, head.log_temperature])
    by_w = ref.numeric_gradient(lambda a: reference(a, 0.4), ASSIGNMENT)
    by_t = ref.numeric_gradient(lambda a: reference(ASSIGNMENT, a), 0.4)
    # The differences of a tiny function are exact to fewer digits.
    np.testing.assert_allclose(
        found[0], by_w, rtol=1e-4, atol=1e-5 * np.abs(by_w).max() + 1e-9
    )
    np.testing.assert_allclose(found[1], by_t, rtol=1e-4, atol=1e-9)


def test_cw_conv2d():
    layer = layers.CWConv2D(
        6,
        (3, 2),
        num_classes=3,
        padding="same",
        dropout=0.0,
        kernel_initializer="zeros",
    )
    layer.build(X.shape)
    layer.kernel = KERNEL
    rows = ref.targets(LABELS, 3, 0.1)

    def reference(kernel):
        y = ref.relu(ref.conv2d(X, kernel, padding="same"))
        return ref.crossentropies(rows, ref.group_mean(y, 3)).mean()

    loss = local_loss(layer, X, training=True)
    assert numpy(loss) == pytest.approx(reference(KERNEL), rel=1e-6)
    (found,) = gradients(
        lambda: local_loss(layer, X, training=True), [layer.kernel]
    )
    close(found, ref.numeric_gradient(reference, KERNEL))


def test_caw_dense():
    layer = layers.CAWDense(
        6, num_classes=3, dropout=0.0, use_bias=True, kernel_initializer="zeros"
    )
    x, kernel, bias = normal((5, 4), 5), normal((4, 6), 6), normal((6,), 7)
    layer.build(x.shape)
    layer.kernel, layer.assignment = kernel, ASSIGNMENT
    layer.bias.assign(bias)
    layer.log_temperature = -0.3
    rows = ref.targets(LABELS, 3, 0.1)

    def reference(kernel=kernel, bias=bias, w=ASSIGNMENT, log_t=-0.3):
        m = ref.shares(w, log_t)
        goodness = ref.relu(x @ np.asarray(kernel, "float64") + bias) @ m
        return ref.crossentropies(rows, goodness).mean() + ref.penalty(m, 0)

    found = gradients(
        lambda: local_loss(layer, x),
        [layer.kernel, layer.bias, layer.assignment],
    )
    close(found[0], ref.numeric_gradient(lambda a: reference(a), kernel))
    close(found[1], ref.numeric_gradient(lambda a: reference(bias=a), bias))
    close(found[2], ref.numeric_gradient(lambda a: reference(w=a), ASSIGNMENT))


def test_a_stack_of_layers_in_an_ordinary_model():
    """The gradient of the sum of all losses is each layer's own gradient.

    In the reference, layer `l`'s loss is differentiated with respect to layer
    `l`'s weights alone, its input held fixed.
    """
    first = layers.CAWConv2D(
        6,
        (3, 2),
        num_classes=3,
        padding="same",
        dropout=0.0,
        kernel_initializer="zeros",
    )
    second = layers.CWConv2D(
        6, (3, 2), num_classes=3, dropout=0.0, kernel_initializer="zeros"
    )
    third = layers.CAWDense(
        6, num_classes=3, dropout=0.0, kernel_initializer="zeros"
    )
    inputs = keras.Input(X.shape[1:])
    x, goodness_1 = first(inputs)
    x = keras.layers.AveragePooling2D(2)(x)
    x, goodness_2 = second(x)
    x = keras.layers.Flatten()(x)
    _, goodness_3 = third(x)
    model = keras.Model(inputs, [goodness_1, goodness_2, goodness_3])
    kernel_2 = normal((3, 2, 6, 6), 8, scale=0.2)
    kernel_3 = normal((6, 6), 9, scale=0.4)
    assignment_3 = normal((6, 3), 10)
    first.kernel, first.assignment = KERNEL, ASSIGNMENT
    second.kernel = kernel_2
    third.kernel, third.assignment = kernel_3, assignment_3
    first.log_temperature = 0.4
    third.log_temperature = 0.1

    rows = ref.targets(LABELS, 3, 0.1)

    def loss_1(kernel, assignment=ASSIGNMENT):
        y = ref.relu(ref.conv2d(X, kernel, padding="same"))
        m = ref.shares(assignment, 0.4)
        loss = ref.crossentropies(rows, ref.pool(y) @ m).mean()
        return loss + ref.penalty(m, 0)

    y = ref.relu(ref.conv2d(X, KERNEL, padding="same"))
    input_2 = ref.average_pool(ref.instance_norm(y), 2)

    def loss_2(kernel):
        y = ref.relu(ref.conv2d(input_2, kernel))
        return ref.crossentropies(rows, ref.group_mean(y, 3)).mean()

    y = ref.relu(ref.conv2d(input_2, kernel_2))
    input_3 = ref.group_norm(y, 3).reshape(5, -1)

    def loss_3(kernel, assignment=assignment_3):
        m = ref.shares(assignment, 0.1)
        goodness = ref.relu(input_3 @ np.asarray(kernel, "float64")) @ m
        return ref.crossentropies(rows, goodness).mean() + ref.penalty(m, 0)

    def objective():
        loss = losses.LocalCrossentropy(label_smoothing=0.1)
        outputs = model(ops.convert_to_tensor(X), training=True)
        return sum(loss(LABELS, g) for g in outputs) + sum(model.losses)

    total = loss_1(KERNEL) + loss_2(kernel_2) + loss_3(kernel_3)
    assert numpy(objective()) == pytest.approx(total, rel=1e-5)
    found = gradients(
        objective,
        [
            first.kernel,
            first.assignment,
            second.kernel,
            third.kernel,
            third.assignment,
        ],
    )
    expected = [
        ref.numeric_gradient(loss_1, KERNEL),
        ref.numeric_gradient(lambda a: loss_1(KERNEL, a), ASSIGNMENT),
        ref.numeric_gradient(loss_2, kernel_2),
        ref.numeric_gradient(loss_3, kernel_3),
        ref.numeric_gradient(lambda a: loss_3(kernel_3, a), assignment_3),
    ]
    for a, b in zip(found, expected):
        scale = np.abs(b).max()
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5 * scale)
