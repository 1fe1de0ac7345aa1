import keras
import numpy as np
import pytest
from keras import ops
from reference import numpy_reference as ref
from reference.arrays import normal
from reference.arrays import numpy
from reference.backend import gradients

from keras_ff import layers
from keras_ff import regularizers

ASSIGNMENT = normal((6, 3), 2)


def head_with(log_temperature=-0.5, channels=6, **kwargs):
    head = layers.ChannelClassAssignment(3, **kwargs)
    head.build((None, 4, 5, channels))
    head.assignment.assign(ASSIGNMENT)
    head.log_temperature.assign(log_temperature)
    return head


def test_shares_are_a_softmax_over_the_classes():
    shares = numpy(head_with().shares())
    np.testing.assert_allclose(shares.sum(1), np.ones(6), rtol=1e-6)
    assert np.ptp(shares.sum(0)) > 0.1
    e = np.exp(ASSIGNMENT / np.exp(-0.5))
    np.testing.assert_allclose(shares, e / e.sum(1, keepdims=True), rtol=1e-5)


@pytest.mark.parametrize("pooling", [(1, 0, 0), (0, 1, 0), (0, 0, -1)])
def test_pooling_of_one_statistic(pooling):
    head = head_with(pooling=pooling)
    x = normal((4, 4, 5, 6), 7)
    statistic = [np.mean, np.max, np.min][np.argmax(np.abs(pooling))]
    pooled = statistic(x.astype("float64"), axis=(1, 2))
    expected = pooled @ ref.shares(ASSIGNMENT, -0.5)
    np.testing.assert_allclose(numpy(head(x)), expected, atol=2e-6)


def test_a_dense_activation_is_not_pooled():
    head = layers.ChannelClassAssignment(3)
    head.build((None, 6))
    head.assignment.assign(ASSIGNMENT)
    x = normal((4, 6), 7)
    expected = x @ ref.shares(ASSIGNMENT, np.log(10.0))
    np.testing.assert_allclose(numpy(head(x)), expected, atol=2e-6)


def test_channels_first():
    keras.config.set_image_data_format("channels_first")
    head = layers.ChannelClassAssignment(3)
    head.build((None, 6, 4, 5))
    head.assignment.assign(ASSIGNMENT)
    x = normal((4, 6, 4, 5), 7)
    pooled = ref.pool(x.transpose(0, 2, 3, 1))
    expected = pooled @ ref.shares(ASSIGNMENT, np.log(10.0))
    np.testing.assert_allclose(numpy(head(x)), expected, atol=2e-6)


def test_regularizers_see_the_shares_and_the_epoch():
    head = head_with(
        assignment_regularizers=[
            regularizers.AssignmentEntropy(0.5, warmup_epochs=8),
            keras.regularizers.L2(0.25),
            "l1",
        ]
    )
    x = normal((4, 4, 5, 6), 7)
    for epoch in (0, 2, 8, 20):
        head.epoch.assign(float(epoch))
        head(x)
        m = ref.shares(ASSIGNMENT, -0.5, epoch)
        found = [float(numpy(loss)) for loss in head.losses]
        expected = [
            0.5 * min(1, epoch / 8) * ref.entropy(m),
            0.25 * (m**2).sum(),
            # Every row sums to 1, and Keras's L1 has factor 0.01.
            0.01 * 6,
        ]
        np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("none", (None, []))
def test_no_regularizers(none):
    head = head_with(assignment_regularizers=none)
    head(normal((4, 4, 5, 6), 7))
    assert head.losses == []
    assert head.get_config()["assignment_regularizers"] == []


def test_published_regularizers_by_default():
    entropy, orthogonality = head_with().assignment_regularizers
    assert isinstance(entropy, regularizers.AssignmentEntropy)
    assert entropy.get_config() == {
        "factor": 1e-2,
        "warmup_epochs": 0,
        "scale": "published",
    }
    assert isinstance(orthogonality, regularizers.AssignmentOrthogonality)
    assert orthogonality.get_config() == {
        "factor": 1e-3,
        "warmup_epochs": 50,
        "scale": "published",
    }


def test_extreme_assignments_stay_finite():
    head = head_with(log_temperature=-100.0)
    head.assignment.assign(ASSIGNMENT * 1000)
    goodness = numpy(head(normal((4, 4, 5, 6), 7)))
    assert np.all(np.isfinite(goodness))
    assert all(np.isfinite(numpy(loss)) for loss in head.losses)
    hard = np.eye(3)[ASSIGNMENT.argmax(1)]
    np.testing.assert_allclose(numpy(head.shares()), hard, atol=1e-6)


def test_the_epoch_is_not_trained():
    head = head_with()
    assert [v.name for v in head.non_trainable_variables] == ["epoch"]
    assert [v.name for v in head.trainable_variables] == [
        "assignment",
        "log_temperature",
    ]


def test_one_regularizer_is_a_list_of_one():
    regularizer = regularizers.AssignmentEntropy(0.5)
    head = layers.ChannelClassAssignment(3, assignment_regularizers=regularizer)
    assert head.assignment_regularizers == [regularizer]
    assert (
        layers.ChannelClassAssignment(
            3, assignment_regularizers=None
        ).assignment_regularizers
        == []
    )


@pytest.mark.parametrize(
    ("temperature", "slope"),
    [
        (0.5, 1.0),
        (0.501, 1.0),
        (3.0, 1.0),
        (8.0, 1.0),
        # As published: clipped, so without a gradient.
        (0.499, 0.0),
        (8.01, 0.0),
    ],
)
def test_gradient_of_the_temperature_in_its_range(temperature, slope):
    """At a bound it passes, on every backend: training may start there."""
    head = head_with(
        np.log(temperature), temperature=2.0, temperature_range=(0.5, 8.0)
    )
    x = normal((4, 4, 5, 6), 7)
    weights = normal((4, 3), 8)

    def score(log_temperature):
        pooled = ref.pool(x.astype("float64"))
        shares = ref.shares(ASSIGNMENT, float(log_temperature))
        return (pooled @ shares * weights).sum()

    (found,) = gradients(
        lambda: ops.sum(ops.multiply(head(x), weights)), [head.log_temperature]
    )
    expected = slope * ref.numeric_gradient(score, np.log(temperature))
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-6)


def test_a_fixed_assignment():
    head = layers.ChannelClassAssignment(3, learnable_assignment=False)
    head.build((None, 6))
    assert [v.name for v in head.trainable_variables] == ["log_temperature"]
    head.trainable = False
    head.trainable = True
    assert not head.assignment.trainable
