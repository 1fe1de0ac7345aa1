import keras
import numpy as np
import pytest
from reference.arrays import normal
from reference.arrays import numpy
from reference.arrays import perturb

from keras_ff import layers

X = normal((4, 3, 5), 1)


def built(**kwargs):
    layer = layers.FFDense(6, **kwargs)
    layer.build((None, 3, 5))
    return perturb(layer)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("threshold", [0.0, 1.5])
def test_against_the_formula(reduction, threshold):
    layer = built(reduction=reduction, threshold=threshold)
    kernel, bias = numpy(layer.kernel), numpy(layer.bias)
    h = np.maximum(X @ kernel + bias, 0.0)
    features, scores = layer(X)
    expected = (h**2 - threshold).sum(-1)
    expected /= 6 if reduction == "mean" else 1
    np.testing.assert_allclose(numpy(scores), expected, rtol=1e-5, atol=1e-5)
    rms = np.sqrt((h**2).mean(-1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(numpy(features), h / rms, rtol=1e-4, atol=1e-5)


def test_zero_activation_is_no_nan():
    layer = built(use_bias=False)
    features, goodness = layer(np.zeros((2, 3, 5), "float32"))
    np.testing.assert_array_equal(numpy(features), 0.0)
    np.testing.assert_array_equal(numpy(goodness), -6.0)


def test_peer_normalization_pulls_positive_activity_together():
    layer = built(peer_normalization=0.5, peer_momentum=0.8)
    start = numpy(layer.mean_activity)
    np.testing.assert_array_equal(start, 0.5)
    layer(X, training=False)
    assert layer.losses == []
    layer(X, training=True)
    kernel, bias = numpy(layer.kernel), numpy(layer.bias)
    positive = np.maximum(X[:, 0] @ kernel + bias, 0.0)
    running = 0.8 * start + 0.2 * positive.mean(0)
    np.testing.assert_allclose(numpy(layer.mean_activity), running, rtol=1e-5)
    (loss,) = layer.losses
    expected = 0.5 * ((running.mean() - running) ** 2).mean()
    assert numpy(loss) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(reduction="max"), "'sum' or 'mean'"),
        (dict(threshold=-1.0), "`threshold` must be at least 0"),
        (dict(peer_normalization=-0.1), "`peer_normalization` must be"),
        (dict(peer_momentum=1.0), r"`peer_momentum` must be in \[0, 1\)"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        layers.FFDense(6, **arguments)


@pytest.mark.parametrize("shape", [(2, 5), (2, 3, 4, 5)])
def test_inputs_without_candidates(shape):
    with pytest.raises(ValueError, match=r"\(batch, candidates, features\)"):
        layers.FFDense(6)(np.zeros(shape, "float32"))


def test_initial_kernel_has_the_published_spread():
    keras.utils.set_random_seed(1)
    layer = layers.FFDense(400)
    layer.build((None, 3, 300))
    assert numpy(layer.kernel).std() == pytest.approx(400**-0.5, rel=0.02)
