import keras
import pytest

from keras_ff import keras_private
from keras_ff.models.cutting.layer_cost import layer_cost

pytestmark = pytest.mark.only_on("torch")
layers = keras.layers


def cost(layer, shape, dtype=None):
    tensor = keras.Input(shape, dtype=dtype)
    model = keras.Model(tensor, layer(tensor))
    return layer_cost(keras_private.nodes(model)[-1])


@pytest.mark.parametrize(
    "make, shape, weights, values, multiplications",
    [
        (
            lambda: layers.Conv2D(5, 3, strides=2, padding="same"),
            (8, 8, 4),
            3 * 3 * 4 * 5 + 5,
            4 * 4 * 5,
            4 * 4 * 3 * 3 * 4 * 5,
        ),
        (
            lambda: layers.Conv2DTranspose(5, 3, strides=2, padding="same"),
            (8, 8, 4),
            3 * 3 * 4 * 5 + 5,
            16 * 16 * 5,
            8 * 8 * 3 * 3 * 4 * 5,
        ),
        (
            lambda: layers.DepthwiseConv2D(3, padding="same", use_bias=False),
            (8, 8, 4),
            3 * 3 * 4,
            8 * 8 * 4,
            8 * 8 * 3 * 3 * 4,
        ),
        (
            lambda: layers.Dense(6),
            (7, 5),
            5 * 6 + 6,
            7 * 6,
            7 * 5 * 6,
        ),
        (lambda: layers.BatchNormalization(), (8, 8, 4), 16, 8 * 8 * 4, 0),
        (lambda: layers.LayerNormalization(axis=[1, 2]), (7, 5), 70, 35, 0),
        (lambda: layers.PReLU(), (8, 4), 32, 32, 0),
        (lambda: layers.MaxPooling2D(2), (8, 8, 4), 0, 4 * 4 * 4, 0),
        # Four gates; the states of every step are kept.
        (
            lambda: layers.LSTM(6),
            (7, 5),
            4 * 6 * (5 + 6 + 1),
            6 + 7 * 2 * 4 * 6,
            7 * 4 * 6 * (5 + 6),
        ),
        # Its axis of unknown length counts as one.
        (lambda: layers.Dense(6), (None, 5), 5 * 6 + 6, 6, 5 * 6),
    ],
)
def test_a_layer_costs(make, shape, weights, values, multiplications):
    assert cost(make(), shape)[:3] == (weights, 4 * values, multiplications)


def test_half_precision_takes_half_the_bytes():
    whole = cost(layers.Conv2D(4, 3), (8, 8, 2))
    half = cost(layers.Conv2D(4, 3, dtype="mixed_bfloat16"), (8, 8, 2))
    assert whole.activations == 2 * half.activations


def test_an_embedding_multiplies_nothing():
    found = cost(layers.Embedding(50, 6), (7,), dtype="int32")
    assert found == (50 * 6, 4 * 7 * 6, 0, 4 * 50 * 6)


def test_attention_counts_its_scores():
    class Attend(layers.Layer):
        def __init__(self):
            super().__init__()
            self.attention = layers.MultiHeadAttention(2, 3, use_bias=False)

        def build(self, shape):
            self.attention.build(shape, shape)

        def call(self, x):
            return self.attention(x, x)

        def compute_output_shape(self, shape):
            return shape

    found = cost(Attend(), (7, 6))
    projections, scores = 7 * 4 * 6 * 6, 2 * 7 * 7 * 3 * 2
    assert found.multiplications == projections + scores
    # Its output; queries, keys, values, output; scores and their softmax.
    values = 7 * 6 + 4 * 7 * 6 + 2 * 2 * 7 * 7
    assert found.activations == 4 * values


def test_only_what_learns_has_gradients():
    normalization = layers.BatchNormalization()
    assert cost(normalization, (8, 8, 4)).gradients == 4 * 2 * 4
    frozen = layers.Dense(6, trainable=False)
    assert cost(frozen, (5,)).gradients == 0
