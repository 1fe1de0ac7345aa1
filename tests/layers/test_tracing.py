"""Layers that do not know the shape of their output."""

import keras
import numpy as np
import pytest
from keras import ops
from reference.arrays import normal
from reference.arrays import numpy

from keras_ff import layers
from keras_ff.models import ForwardOnlyModel

X = normal((32, 6), 3)
Y = X[:, :3].argmax(axis=1)


@keras.saving.register_keras_serializable(package="test_tracing")
class Linear(keras.layers.Layer):
    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 3), name="kernel")

    def call(self, inputs):
        return ops.matmul(inputs, self.kernel)


@keras.saving.register_keras_serializable(package="test_tracing")
class Composite(keras.layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner = keras.layers.Dense(3, use_bias=False, name="inner")

    def call(self, inputs):
        return self.inner(inputs)


@keras.saving.register_keras_serializable(package="test_tracing")
class Subclassed(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner = keras.layers.Dense(3, use_bias=False, name="inner")

    def call(self, inputs):
        return self.inner(inputs)


@keras.saving.register_keras_serializable(package="test_tracing")
class Tokens(keras.layers.Layer):
    """Takes integers, as the table of an embedding does."""

    def build(self, shape):
        self.table = self.add_weight(shape=(10, 3), name="table")

    def call(self, inputs):
        if "int" not in keras.backend.standardize_dtype(inputs.dtype):
            raise TypeError(inputs.dtype)
        return ops.take(self.table, inputs, axis=0)


def projection():
    return layers.GoodnessProjection(3)


@pytest.mark.parametrize(
    "make",
    [
        Linear,
        pytest.param(Composite, marks=pytest.mark.only_on("torch")),
        pytest.param(Subclassed, marks=pytest.mark.only_on("torch")),
    ],
)
@pytest.mark.parametrize(
    "place",
    [
        lambda part: layers.LocalBlock(part, projection()),
        lambda part: layers.LocalBlock(keras.layers.Dense(3), part),
        lambda part: layers.LocalBlock(
            keras.layers.Dense(6), layers.AuxiliaryHead(part, projection())
        ),
        lambda part: layers.LocalBlock(
            keras.layers.Dense(6),
            layers.HypersphericalPrototypes(3, embedding=part),
        ),
    ],
    ids=["block", "head", "auxiliary", "embedding"],
)
def test_a_layer_of_ones_own(make, place, tmp_path):
    part = make()
    first = place(part)
    model = ForwardOnlyModel(
        [
            keras.Input((6,)),
            first,
            layers.LocalBlock(keras.layers.Dense(3), projection()),
        ]
    )
    (kernel,) = [numpy(w) for w in part.weights]
    assert first.compute_output_shape((None, 6))[1] == (None, 3)
    model.compile(keras.optimizers.SGD(0.5))
    model.fit(X, Y, verbose=0)
    assert np.abs(numpy(part.weights[0]) - kernel).max() > 0
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    expected = model.predict(X, verbose=0)
    np.testing.assert_allclose(loaded.predict(X, verbose=0), expected, 1e-5)
    paths = [
        [v.path for v in m.local_layers[0].weights] for m in (model, loaded)
    ]
    assert paths[0] == paths[1]


def test_integers_stay_integers(tmp_path):
    inputs = keras.Input((4,), dtype="int32")
    block = layers.LocalBlock(Tokens(), projection())
    model = ForwardOnlyModel([inputs, block])
    tokens = np.array([[1, 2, 3, 0], [4, 9, 1, 1]], "int32")
    table, kernel = (numpy(w) for w in block.weights)
    expected = table[tokens].mean(axis=1) @ kernel
    np.testing.assert_allclose(
        model.predict(tokens, verbose=0), expected, rtol=1e-5
    )
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        loaded.predict(tokens, verbose=0), expected, rtol=1e-5
    )
    alone = layers.LocalBlock(Tokens(), projection())
    assert tuple(alone(tokens)[0].shape) == (2, 4, 3)


def test_after_a_map_of_mean_zero():
    """What a layer of one's own makes of it nobody knows."""

    class Halved(keras.layers.Layer):
        def call(self, inputs):
            return inputs / 2

    model = ForwardOnlyModel(
        [
            keras.Input((6, 5, 2)),
            layers.CAWConv2D(4, 3, num_classes=3),
            layers.LocalBlock(
                [Halved(), keras.layers.GlobalAveragePooling2D()], projection()
            ),
        ]
    )
    assert model.predict(normal((2, 6, 5, 2), 1), verbose=0).shape == (2, 3)
