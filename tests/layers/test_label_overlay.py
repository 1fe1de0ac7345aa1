import keras
import numpy as np
import pytest
from reference.arrays import normal
from reference.arrays import numpy

from keras_ff.layers.label_overlay import LabelOverlay

X = normal((4, 5), 1)


def test_every_label_in_turn():
    y = numpy(LabelOverlay(3, scale=2.0)(X))
    assert y.shape == (4, 3, 5)
    for k in range(3):
        np.testing.assert_array_equal(y[:, k, :3], 2.0 * np.eye(3)[[k] * 4])
        np.testing.assert_array_equal(y[:, k, 3:], X[:, 3:])


def test_given_labels():
    labels = np.array([[0, 2], [1, 1], [2, 0], [0, 1]])
    y = numpy(LabelOverlay(3)(X, labels=labels))
    np.testing.assert_array_equal(y[:, :, :3], np.eye(3)[labels])
    np.testing.assert_array_equal(y[:, 1, 3:], X[:, 3:])


def test_rows_for_all_samples():
    neutral = np.full((1, 1, 3), 1 / 3, "float32")
    y = numpy(LabelOverlay(3)(X, labels=neutral))
    assert y.shape == (4, 1, 5)
    np.testing.assert_allclose(y[:, 0, :3], 1 / 3, rtol=1e-6)


def test_announced_shape():
    assert LabelOverlay(3)(keras.Input((5,))).shape == (None, 3, 5)


@pytest.mark.parametrize("features", [2, 3])
def test_label_that_does_not_fit(features):
    with pytest.raises(ValueError, match=f"Received: {features} features"):
        LabelOverlay(3)(X[:, :features])


def test_image_must_be_flattened():
    with pytest.raises(ValueError, match="vectors of known size"):
        LabelOverlay(3)(normal((2, 4, 4)))


@pytest.mark.parametrize("scale", [0.0, -1.0, float("inf")])
def test_bad_scale(scale):
    with pytest.raises(ValueError, match="value of a label must be positive"):
        LabelOverlay(3, scale=scale)


def test_config_round_trip():
    layer = LabelOverlay(4, scale=0.5)
    copy = LabelOverlay.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()


def test_whole_numbers():
    """Their labels may lie between whole numbers."""
    x = np.arange(10).reshape(2, 5)
    overlay = LabelOverlay(3, scale=0.5)
    found = overlay(x)
    assert keras.backend.standardize_dtype(found.dtype) == "float32"
    np.testing.assert_array_equal(
        numpy(found)[:, :, :3], 0.5 * np.eye(3)[None].repeat(2, 0)
    )
    np.testing.assert_array_equal(numpy(found)[:, 1, 3:], x[:, 3:])
