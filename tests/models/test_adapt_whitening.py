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
    sequence = keras.Sequential([keras.Input((4, 4, 1)), *model.layers[1:]])
    adapt_whitening(sequence, data)
    # The first 5,000 images have uncorrelated outputs, each as large.
    y = numpy(model(X[:5000]))[..., :4].reshape(-1, 4).astype("float64")
    np.testing.assert_allclose(y.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(y.T @ y / len(y), np.eye(4), atol=2e-3)
    reference = layers.Whitening2D()
    reference.adapt(0.02 * X[:5000].astype("float64") + 3.0)
    np.testing.assert_allclose(
        np.abs(numpy(whitening.kernel)), np.abs(numpy(reference.kernel)), 1e-3
    )


def without():
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])


def within():
    block = keras.Sequential([layers.Whitening2D(name="inner")])
    return keras.Sequential([keras.Input((4, 4, 1)), block])


def of_two_inputs():
    inputs = [keras.Input((4, 4, 1)) for _ in range(2)]
    return keras.Model(inputs, layers.Whitening2D()(sum(inputs)))


@pytest.mark.parametrize(
    "make, data, error, message",
    [
        (without, X, ValueError, "nothing to adapt. Received:.*Dense"),
        (within, X, ValueError, r"\['inner'\] are within.*adapt\(images"),
        (of_two_inputs, X, ValueError, "one input, images. Received: 2"),
        (lambda: keras.Sequential([]), X, TypeError, "built sequential"),
        (keras.Model, X, TypeError, "must be a functional"),
        (None, (X, X[:, 0, 0, 0]), TypeError, r"tuple of 2 arrays.*data\[0"),
        (None, 5000, TypeError, "Received: 5000 of type int"),
        (None, X[0], ValueError, r"\(4, 4, 1\). Received:.*\(4, 4, 1\)"),
        (None, X[..., 0], ValueError, r"Received: .*\(250, 4, 4\)"),
        (None, [X[:0]], ValueError, "needs more than 4 patches.*: 0 patches"),
        (None, X[:0], ValueError, "needs more than 4 patches.*: 0 patches"),
    ],
)
def test_what_cannot_be_adapted(make, data, error, message):
    model = make() if make else whitened()[0]
    with pytest.raises(error, match=message):
        adapt_whitening(model, data)
