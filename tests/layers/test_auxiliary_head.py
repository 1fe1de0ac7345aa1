import keras
import numpy as np
import pytest
from reference.arrays import normal
from reference.arrays import numpy

from keras_ff import layers
from keras_ff import models

X = normal((4, 4, 4, 5), 1)


def test_scaled_head_of_the_layers():
    head = layers.AuxiliaryHead(
        keras.layers.Conv2D(6, 1, activation="relu", use_bias=False),
        layers.GoodnessProjection(3),
        scale=4.0,
    )
    goodness = numpy(head(X))
    kernel = numpy(head.layers[0].kernel)[0, 0]
    pooled = np.maximum(X @ kernel, 0).mean((1, 2))
    expected = 4 * pooled @ numpy(head.head.projection.kernel)
    np.testing.assert_allclose(goodness, expected, atol=1e-5)


def test_assignment_of_every_cell():
    head = layers.AuxiliaryHead(
        [keras.layers.AdaptiveAveragePooling2D(2), keras.layers.Flatten()],
        layers.ChannelClassAssignment(
            3,
            temperature=1.0,
            assignment_initializer="random_normal",
            assignment_regularizers=None,
        ),
    )
    goodness = numpy(head(X))
    cells = X.reshape(4, 2, 2, 2, 2, 5).mean((2, 4)).reshape(4, 20)
    shares = np.exp(numpy(head.head.assignment))
    shares /= shares.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(goodness, cells @ shares, atol=1e-5)


def test_trained_by_the_local_loss_and_left_out_of_the_features(tmp_path):
    keras.utils.set_random_seed(0)
    block = layers.LocalBlock(
        keras.layers.Conv2D(6, 3, padding="same"),
        layers.AuxiliaryHead(
            [
                keras.layers.Conv2D(8, 3, use_bias=False),
                keras.layers.BatchNormalization(),
            ],
            layers.HypersphericalPrototypes(3),
            scale=8.0,
        ),
    )
    features, _ = block(X)
    np.testing.assert_allclose(
        numpy(features), numpy(block.layers[0](X)), atol=1e-6
    )
    model = models.ForwardOnlyModel([keras.Input((4, 4, 5)), block])
    model.compile(keras.optimizers.SGD(0.1))
    before = [numpy(v) for v in block.head.variables]
    model.fit(X, np.arange(4) % 3, verbose=0)
    for variable, value in zip(block.head.variables, before):
        assert np.abs(numpy(variable) - value).max() > 0, variable.path
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        loaded.predict(X, verbose=0), model.predict(X, verbose=0), atol=1e-6
    )


HEAD = layers.GoodnessProjection(3)


@pytest.mark.parametrize(
    "error, arguments, message",
    [
        (ValueError, ([], HEAD), "at least one"),
        (TypeError, (["conv"], HEAD), "'conv'"),
        (
            TypeError,
            (keras.layers.ReLU(), keras.layers.Dense(3)),
            "num_classes",
        ),
        (ValueError, (keras.layers.ReLU(), HEAD, -1.0), "scale=-1.0"),
    ],
)
def test_bad_arguments(error, arguments, message):
    with pytest.raises(error, match=message):
        layers.AuxiliaryHead(*arguments)
