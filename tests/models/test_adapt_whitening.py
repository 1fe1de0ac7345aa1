import keras
import numpy as np
import pytest
from reference.arrays import numpy

from keras_ff import datasets
from keras_ff import layers
from keras_ff.models import adapt_whitening

X = np.random.default_rng(0).integers(0, 256, (6000, 4, 4, 1), "uint8")


def whitened(*before):
    inputs = keras.Input((4, 4, 1))
    x = inputs
    for layer in before:
        x = layer(x)
    whitening = layers.Whitening2D()
    return keras.Model(inputs, whitening(x)), whitening


@pytest.mark.parametrize("batches", [False, True])
def test_whitens_what_it_is_given(batches):
    model, whitening = whitened(keras.layers.Rescaling(0.02, offset=3.0))
    data = X
    if batches:
        data = datasets.ArrayBatches((X, np.zeros(len(X), "int32")), 700)
    adapt_whitening(model, data)
    # The first 5,000 images have uncorrelated outputs, each as large.
    y = numpy(model(X[:5000]))[..., :4].reshape(-1, 4).astype("float64")
    np.testing.assert_allclose(y.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(y.T @ y / len(y), np.eye(4), atol=2e-3)
    reference = layers.Whitening2D()
    reference.adapt(0.02 * X[:5000].astype("float64") + 3.0)
    np.testing.assert_allclose(
        np.abs(numpy(whitening.kernel)), np.abs(numpy(reference.kernel)), 1e-3
    )


def test_nothing_to_adapt():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    adapt_whitening(model, np.zeros((3, 2)))
