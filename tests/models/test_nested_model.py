"""A model of local layers inside another Keras model."""

import keras
import numpy as np
import pytest
from tiny_models import numpy

from keras_ff import layers
from keras_ff import models

X = np.random.default_rng(0).uniform(0, 255, (16, 6)).astype("float32")
Y = X[:, :3].argmax(axis=1)
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def make_models():
    inner = models.ForwardOnlyModel(
        [
            keras.Input((6,)),
            layers.CAWDense(6, 3, dropout=0.0),
            layers.PrototypeDense(6, 3),
        ],
        name="inner",
    )
    outer = keras.Sequential(
        [keras.Input((6,)), keras.layers.Rescaling(1 / 255), inner]
    )
    outer.compile("sgd", loss=LOSS)
    return inner, outer


@pytest.mark.eager
@pytest.mark.parametrize(
    "method",
    [
        "fit",
        pytest.param("evaluate", marks=pytest.mark.only_on("torch")),
        pytest.param("train_on_batch", marks=pytest.mark.only_on("torch")),
    ],
)
def test_it_is_not_trained(method):
    inner, outer = make_models()
    before = inner.get_weights()
    message = (
        r"ForwardOnlyModel 'inner' is a layer of a model.*"
        r"ForwardOnlyModel\(\[keras.Input\(shape\), keras.layers.Rescaling"
    )
    with pytest.raises(ValueError, match=message):
        getattr(outer, method)(X, Y)
    for a, b in zip(inner.get_weights(), before):
        np.testing.assert_array_equal(a, b)
    # Alone it goes on.
    inner.compile(keras.optimizers.SGD(0.1))
    inner.fit(X / 255, Y, verbose=0)
    assert inner.epoch == 1
    assert isinstance(inner.losses, list)
    expected = inner.predict(X / 255, verbose=0)
    np.testing.assert_allclose(outer.predict(X, verbose=0), expected, 1e-4)
    np.testing.assert_allclose(numpy(outer(X)), expected, 1e-4)


@pytest.mark.eager
def test_what_is_frozen_may_be_trained_around():
    inner, _ = make_models()
    inner.trainable = False
    before = inner.get_weights()
    outer = keras.Sequential([inner, keras.layers.Dense(3)])
    outer.compile(keras.optimizers.SGD(0.1), loss=LOSS)
    kernel = outer.layers[1].get_weights()[0]
    outer.fit(X / 255, Y, verbose=0)
    assert np.any(outer.layers[1].get_weights()[0] != kernel)
    for a, b in zip(inner.get_weights(), before):
        np.testing.assert_array_equal(a, b)


@pytest.mark.only_on("tensorflow")
def test_it_is_exported(tmp_path):
    import tensorflow as tf

    _, outer = make_models()
    outer.export(str(tmp_path / "saved"), verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    np.testing.assert_allclose(
        loaded.serve(X), outer.predict(X, verbose=0), 1e-4
    )
