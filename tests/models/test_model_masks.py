"""Padded sequences through models of local layers."""

import keras
import numpy as np
import pytest
from keras import ops
from tiny_models import numpy

from keras_ff import layers
from keras_ff.models import ForwardOnlyModel
from keras_ff.models import adapt_prototypes
from keras_ff.objectives import SupervisedContrast

TOKENS = np.array([[3, 4, 5, 1, 0, 0], [1, 2, 0, 0, 0, 0], [6, 2, 7, 0, 0, 0]])
SHORT = TOKENS[:, :4]
Y = np.array([0, 2, 0])


@keras.saving.register_keras_serializable(package="test_model_masks")
class Attention(keras.layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.attention = keras.layers.MultiHeadAttention(1, 4)

    def call(self, inputs):
        return inputs + self.attention(inputs, inputs)


def feed_forward():
    inputs = keras.Input((None, 4))
    dense = keras.layers.Dense(4, "tanh")(inputs)
    return keras.Model(inputs, keras.layers.Add()([inputs, dense]))


def text_model():
    """All ways to get a mask on: embedding, LSTM, attention, dropout."""
    keras.utils.set_random_seed(1)
    return ForwardOnlyModel(
        [
            keras.Input((None,), dtype="int32"),
            layers.LocalBlock(
                keras.layers.Embedding(10, 4, mask_zero=True),
                layers.ChannelClassAssignment(3),
                normalization="layer",
            ),
            layers.LocalBlock(
                keras.layers.LSTM(4, return_sequences=True),
                layers.GoodnessProjection(3),
                normalization="rms",
                objectives=SupervisedContrast(pooling="average", units=4),
            ),
            keras.layers.Dropout(0.0),
            layers.LocalBlock(
                [Attention(), feed_forward()],
                layers.HypersphericalPrototypes(3),
                normalization="instance",
            ),
            layers.LocalBlock(
                keras.layers.LSTM(4), layers.GoodnessProjection(3)
            ),
        ],
        layer_metrics=True,
    )


def ask(model):
    """All that a model says of sequences, as functions of them."""
    return {
        "predict": lambda x: model.predict(x, verbose=0),
        "goodness": model.goodness,
        "evaluate": lambda x: np.array(model.evaluate(x, Y, verbose=0)),
        "early": lambda x: model.predict_early_exit(x, 0.45)[0],
        "call": lambda x: numpy(model(ops.convert_to_tensor(x))),
    }


@pytest.mark.eager
def test_padding_changes_nothing(tmp_path):
    model = text_model()
    model.compile(keras.optimizers.SGD(0.5))
    for name, say in ask(model).items():
        short, long = say(SHORT), say(TOKENS)
        np.testing.assert_allclose(long, short, atol=1e-5, err_msg=name)
    goodness = model.predict_early_exit(TOKENS, 1.0)[0]
    np.testing.assert_allclose(
        goodness, model.predict(TOKENS, verbose=0), atol=1e-5
    )
    # A sample as if it were alone and unpadded.
    alone = model.goodness(TOKENS[1:2, :2])
    np.testing.assert_allclose(model.goodness(TOKENS)[1:2], alone, atol=1e-5)

    weights = [numpy(v) for v in model.trainable_variables]
    model.fit(SHORT, Y, epochs=2, verbose=0)
    trained = [numpy(v) for v in model.trainable_variables]
    other = text_model()
    other.compile(keras.optimizers.SGD(0.5))
    other.fit(TOKENS, Y, epochs=2, verbose=0)
    for start, short, long in zip(weights, trained, other.trainable_variables):
        np.testing.assert_allclose(numpy(long), short, atol=2e-5)
        assert np.any(start != short) or "kernel" not in long.path

    # What follows knows no backend.
    if keras.backend.backend() != "torch":
        return
    expected = model.predict(SHORT, verbose=0)
    model.save(tmp_path / "model.keras")
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    for copy in (
        keras.saving.load_model(tmp_path / "model.keras"),
        clone,
        model.truncate(4),
    ):
        np.testing.assert_allclose(
            copy.predict(TOKENS, verbose=0), expected, atol=1e-5
        )
    adapt_prototypes(model, TOKENS, Y)
    adapt_prototypes(other, SHORT, Y)
    prototypes = [
        numpy(m.local_layers[2].head.prototypes) for m in (model, other)
    ]
    np.testing.assert_allclose(*prototypes, atol=1e-4)


def test_layers_in_between_that_take_masks(tmp_path):
    model = ForwardOnlyModel(
        [
            keras.Input((None,), dtype="int32"),
            layers.LocalBlock(
                keras.layers.Embedding(10, 4, mask_zero=True),
                layers.GoodnessProjection(3),
            ),
            keras.layers.GlobalAveragePooling1D(),
            layers.LocalBlock(
                keras.layers.Dense(4), layers.GoodnessProjection(3)
            ),
        ]
    )
    model.compile(keras.optimizers.SGD(0.5))
    short = keras.models.clone_model(model)
    short.set_weights(model.get_weights())
    short.compile(keras.optimizers.SGD(0.5))
    for fitted, tokens in ((model, TOKENS), (short, SHORT)):
        fitted.fit(tokens, Y, verbose=0)
    for a, b in zip(model.trainable_variables, short.trainable_variables):
        np.testing.assert_allclose(numpy(a), numpy(b), atol=1e-5)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    table = numpy(model.local_layers[0].weights[0])
    means = [table[row[row > 0]].mean(0) for row in TOKENS]
    dense, bias, kernel = (numpy(w) for w in model.local_layers[1].weights)
    second = (means @ dense + bias) @ kernel
    for copy in (model, loaded, model.truncate(2)):
        goodness = copy.goodness(TOKENS)
        np.testing.assert_allclose(goodness[:, 1], second, atol=1e-5)
        early = copy.predict_early_exit(TOKENS, 1.0)[0]
        np.testing.assert_allclose(early, goodness.sum(1), atol=1e-5)


@pytest.mark.only_on("torch")
def test_masking_before_a_block():
    """A mask that no local layer made; predicted layer by layer, too."""
    x = np.where(TOKENS[..., None] > 0, TOKENS[..., None] + np.arange(2.0), 0)
    model = ForwardOnlyModel(
        [
            keras.Input((None, 2)),
            keras.layers.Masking(0.0),
            layers.LocalBlock(keras.layers.Dense(4), layers.ChannelGroups(2)),
            layers.LocalBlock(
                keras.layers.LSTM(4), layers.GoodnessProjection(2)
            ),
        ]
    )
    for say in (model.goodness, lambda x: model.predict_early_exit(x, 0.5)[0]):
        np.testing.assert_allclose(say(x), say(x[:, :4]), atol=1e-5)
