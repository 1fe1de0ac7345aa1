import keras
import numpy as np
import pytest
from reference import numpy_reference as ref
from reference.arrays import normal
from reference.arrays import numpy
from reference.backend import gradients

from keras_ff import losses

LABELS = np.array([2, 0, 1, 1])
SCORES = np.tanh(normal((4, 3), 1))


@pytest.mark.parametrize("margin, scale", [(0.0, 1.0), (0.2, 16.0), (2.0, 4)])
@pytest.mark.parametrize(
    "labels", [LABELS, LABELS[:, None], np.eye(3, dtype="float32")[LABELS]]
)
def test_against_the_formula(margin, scale, labels):
    loss = losses.SmoothMarginLoss(margin, scale)(labels, SCORES)
    expected = ref.smooth_margin(LABELS, SCORES, margin, scale).mean()
    assert numpy(loss) == pytest.approx(expected, rel=1e-5)


def test_gradient():
    scores = keras.Variable(SCORES)
    loss = losses.SmoothMarginLoss(0.3, 8.0)
    (found,) = gradients(lambda: loss(LABELS, scores.value), [scores])
    expected = ref.numeric_gradient(
        lambda s: ref.smooth_margin(LABELS, s, 0.3, 8.0).mean(), SCORES
    )
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_falls_to_zero_beyond_the_margin():
    lead = np.array([[0.9, -0.9, -0.9]], "float32")
    assert numpy(losses.SmoothMarginLoss(0.2, 64.0)([0], lead)) < 1e-6
    assert numpy(losses.SmoothMarginLoss(1.9, 64.0)([0], lead)) > 1


def test_no_margin_and_scale_one_is_crossentropy():
    margin = losses.SmoothMarginLoss(0.0, 1.0)(LABELS, SCORES)
    plain = losses.LocalCrossentropy()(LABELS, SCORES)
    assert numpy(margin) == pytest.approx(numpy(plain), rel=1e-6)


@pytest.mark.parametrize("label", [-1, 3])
def test_label_that_is_no_class_gives_nan(label):
    assert np.isnan(numpy(losses.SmoothMarginLoss()([0, label], SCORES[:2])))


@pytest.mark.parametrize("margin", [-0.1, 2.1, float("nan")])
def test_margin_out_of_range(margin):
    with pytest.raises(ValueError, match=r"`margin` must be in \[0, 2\]"):
        losses.SmoothMarginLoss(margin=margin)


@pytest.mark.parametrize("scale", [0, -1, float("inf"), float("nan")])
def test_scale_out_of_range(scale):
    with pytest.raises(ValueError, match="`scale` must be positive"):
        losses.SmoothMarginLoss(scale=scale)


def test_serializes():
    loss = losses.SmoothMarginLoss(0.3, 8.0, reduction="sum")
    copy = keras.losses.deserialize(keras.losses.serialize(loss))
    assert copy.get_config() == loss.get_config()
    assert numpy(copy(LABELS, SCORES)) == numpy(loss(LABELS, SCORES))
