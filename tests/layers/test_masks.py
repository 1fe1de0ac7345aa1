"""What a mask hides changes nothing: every sample as if it were unpadded."""

import keras
import numpy as np
import pytest
from cases import NUM_CLASSES
from keras import ops
from reference import numpy_reference as ref
from reference.arrays import normal
from reference.arrays import numpy
from reference.arrays import perturb
from reference.backend import gradients

from keras_ff import layers
from keras_ff import objectives
from keras_ff.keras_private import mask_of
from keras_ff.layers.masks import with_mask
from keras_ff.layers.normalization import get_normalization

LENGTHS = (5, 1, 3)
MASK = np.arange(5) < np.array(LENGTHS)[:, None]
# What is hidden is far from all that is shown.
X = np.where(MASK[..., None], normal((3, 5, 6), 1, offset=0.3), 1e4)
X = X.astype("float32")


def masked(x=X, mask=MASK):
    return with_mask(ops.convert_to_tensor(x), ops.convert_to_tensor(mask))


def unpadded(function):
    """What a function of NumPy gives for every sample alone."""
    return [
        function(X[i : i + 1, :length].astype("float64"))
        for i, length in enumerate(LENGTHS)
    ]


def _embedded(head, x):
    u = x.mean(1) @ numpy(head.layers[0].kernel)
    return 4.0 * ref.prototype_scores(u, numpy(head.head.prototypes), 10.0)


HEADS = {
    "groups": (
        lambda: layers.ChannelGroups(NUM_CLASSES),
        lambda head, x: ref.group_mean(x, NUM_CLASSES),
    ),
    "assignment": (
        lambda: layers.ChannelClassAssignment(NUM_CLASSES),
        lambda head, x: (
            ref.pool(x)
            @ ref.shares(numpy(head.assignment), numpy(head.log_temperature))
        ),
    ),
    "projection": (
        lambda: layers.GoodnessProjection(NUM_CLASSES),
        lambda head, x: x.mean(1) @ numpy(head.projection.kernel),
    ),
    "flat": (
        lambda: layers.GoodnessProjection(NUM_CLASSES, pooling="flatten"),
        lambda head, x: (
            x.reshape(1, -1) @ numpy(head.projection.kernel)[: x[0].size]
        ),
    ),
    "prototypes": (
        lambda: layers.HypersphericalPrototypes(
            NUM_CLASSES, prototypes_per_class=2
        ),
        lambda head, x: ref.prototype_scores(
            x.mean(1), numpy(head.prototypes), 10.0
        ),
    ),
    "auxiliary": (
        lambda: layers.AuxiliaryHead(
            keras.layers.Dense(4, use_bias=False),
            layers.HypersphericalPrototypes(NUM_CLASSES),
            scale=4.0,
        ),
        _embedded,
    ),
}


@pytest.mark.parametrize("name", HEADS)
def test_heads(name):
    make, reference = HEADS[name]
    head = make()
    head.build((None, 5, 6))
    if name != "auxiliary":
        perturb(head)
    expected = np.concatenate(unpadded(lambda x: reference(head, x)))
    for goodness in (head(masked()), head(X, mask=ops.convert_to_tensor(MASK))):
        np.testing.assert_allclose(numpy(goodness), expected, atol=1e-5)
        assert mask_of(goodness) is None
    symbol = with_mask(keras.Input((5, 6)), keras.Input((5,), dtype="bool"))
    assert head(symbol).shape == (None, NUM_CLASSES)
    nothing = head(masked(mask=np.zeros_like(MASK)))
    assert np.all(np.isfinite(numpy(nothing)))


@pytest.mark.parametrize("name", ["groups", "assignment", "projection"])
def test_heads_channels_first(name):
    make, reference = HEADS[name]
    keras.config.set_image_data_format("channels_first")
    head = make()
    head.build((None, 6, 5))
    perturb(head)
    goodness = head(masked(X.transpose(0, 2, 1)))
    expected = np.concatenate(unpadded(lambda x: reference(head, x)))
    np.testing.assert_allclose(numpy(goodness), expected, atol=1e-5)


def test_maps_of_which_rows_are_hidden():
    x = np.stack([X, 2 * X], axis=2)
    head = layers.ChannelClassAssignment(NUM_CLASSES)
    head.build(x.shape)
    m = ref.shares(numpy(head.assignment), numpy(head.log_temperature))
    pooled = unpadded(lambda x: ref.pool(np.stack([x, 2 * x], axis=2)))
    np.testing.assert_allclose(
        numpy(head(masked(x))), np.concatenate(pooled) @ m, atol=1e-5
    )


NORMALIZATIONS = {
    "instance": lambda x: x if x.shape[1] == 1 else ref.standardize(x, (1,)),
    "group": lambda x: ref.group_norm(x, 3),
    "layer": ref.layer_norm,
    "rms": ref.rms_norm,
}


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_normalizations(name, data_format):
    layer = get_normalization(name, 3, "float32", data_format)
    first = data_format == "channels_first"
    x = X.transpose(0, 2, 1) if first else X
    features = layer(masked(x))
    np.testing.assert_array_equal(numpy(mask_of(features)), MASK)
    features = numpy(features)
    features = features.transpose(0, 2, 1) if first else features
    for i, expected in enumerate(unpadded(NORMALIZATIONS[name])):
        shown = features[i : i + 1, : LENGTHS[i]]
        np.testing.assert_allclose(shown, expected, atol=2e-5)
    nothing = layer(masked(x, np.zeros_like(MASK)))
    assert np.all(np.isfinite(numpy(nothing)))


def test_gradients_of_the_heads_pooling():
    """Those of every sample alone; none at what is hidden."""
    head = layers.ChannelClassAssignment(NUM_CLASSES)
    head.build((None, 5, 6))
    perturb(head)
    x, probe = keras.Variable(X), normal((3, NUM_CLASSES), 5)

    def objective():
        goodness = head(masked(ops.convert_to_tensor(x)))
        return ops.sum(ops.multiply(goodness, probe))

    (found,) = gradients(objective, [x])
    m = ref.shares(numpy(head.assignment), numpy(head.log_temperature))
    for i, length in enumerate(LENGTHS):
        expected = ref.numeric_gradient(
            lambda a: (ref.pool(a) @ m @ probe[i]).sum(),
            X[i : i + 1, :length].astype("float64"),
        )
        np.testing.assert_allclose(
            found[i : i + 1, :length], expected, atol=1e-5
        )
        np.testing.assert_array_equal(found[i, length:], 0)


def test_a_local_layer_hands_the_mask_on():
    block = layers.LocalBlock(
        keras.layers.Dense(4), layers.GoodnessProjection(NUM_CLASSES)
    )
    for keep in (False, True):
        features, goodness = block(masked(), keep_gradient=keep)
        np.testing.assert_array_equal(numpy(mask_of(features)), MASK)
        assert mask_of(goodness) is None
    embedded = layers.LocalBlock(
        keras.layers.Embedding(9, 4, mask_zero=True),
        layers.GoodnessProjection(NUM_CLASSES),
    )
    tokens = np.array([[3, 4, 0], [1, 0, 0]])
    features, _ = embedded(tokens)
    np.testing.assert_array_equal(numpy(mask_of(features)), tokens > 0)
    symbolic, _ = embedded(keras.Input((None,), dtype="int32"))
    assert mask_of(symbolic).shape == (None, None)
    last, _ = layers.LocalBlock(
        keras.layers.LSTM(4), layers.GoodnessProjection(NUM_CLASSES)
    )(features)
    assert mask_of(last) is None


@pytest.mark.only_on("torch")
def test_a_model_with_attention_says_that_it_loses_the_mask():
    inputs = keras.Input((5, 6))
    attended = keras.layers.MultiHeadAttention(1, 4)(inputs, inputs)
    residual = keras.Model(inputs, keras.layers.Add()([inputs, attended]))
    block = layers.LocalBlock(residual, layers.GoodnessProjection(NUM_CLASSES))
    with pytest.warns(UserWarning, match="will therefore destroy the mask"):
        block(masked())
    dense = keras.Sequential([keras.layers.Dense(4), keras.layers.ReLU()])
    block = layers.LocalBlock(dense, layers.GoodnessProjection(NUM_CLASSES))
    np.testing.assert_array_equal(numpy(mask_of(block(masked())[0])), MASK)


@pytest.mark.only_on("torch")
def test_what_cannot_use_a_mask_is_refused():
    symbol = with_mask(keras.Input((4, 6)), keras.Input((4,), dtype="bool"))

    class Mean(keras.layers.Layer):
        def call(self, inputs):
            return ops.mean(inputs, axis=1)[:, :NUM_CLASSES]

    class MeanOfShown(Mean):
        def call(self, inputs, mask=None):
            if mask is not None:
                inputs = inputs * ops.cast(mask[..., None], "float32")
            return super().call(inputs)

        def compute_mask(self, inputs, mask=None):
            return None

    def block(head, **kwargs):
        return layers.LocalBlock(keras.layers.Dense(6), head, **kwargs)

    message = r"'mean' \(Mean\) in 'block' \(LocalBlock\) gets a sequence with"
    with pytest.raises(ValueError, match=f"{message}.*GlobalAveragePooling1D"):
        block(Mean(name="mean"), name="block")(symbol)
    assert block(MeanOfShown())(symbol)[1].shape == (None, NUM_CLASSES)
    head = layers.GoodnessProjection(NUM_CLASSES, pooling=2)
    with pytest.raises(ValueError, match="pooling=2 and a map with a mask"):
        rows = with_mask(keras.Input((4, 4, 6)), mask_of(symbol))
        block(head)(rows)
    head = layers.AuxiliaryHead(
        keras.layers.Conv1D(4, 2, name="conv"),
        layers.GoodnessProjection(NUM_CLASSES),
    )
    with pytest.raises(ValueError, match=r"'conv' \(Conv1D\) in"):
        block(head)(masked(X))
    # It says what Keras says for it, and pools by itself.
    head = keras.Sequential(
        [keras.layers.GlobalAveragePooling1D(), keras.layers.Dense(NUM_CLASSES)]
    )
    assert block(head)(symbol)[1].shape == (None, NUM_CLASSES)


def test_objectives_pool_under_the_mask():
    contrast = objectives.SupervisedContrast(pooling="average", units=4)
    contrast.build((None, 5, 6))
    labels, weights = np.eye(3, dtype="float32")[[0, 1, 0]], np.ones(3)
    losses = contrast(masked(), labels, weights.astype("float32"))
    pooled = np.concatenate(unpadded(lambda x: x.mean(1)))
    vectors = pooled @ numpy(contrast.projection.projection.kernel)
    expected = ref.supervised_contrast(vectors, [0, 1, 0], 0.2)
    np.testing.assert_allclose(numpy(losses), expected, atol=1e-5)
    matching = objectives.SimilarityMatching(name="matching")
    matching.build((None, 5, 6))
    with pytest.raises(ValueError, match="'matching' .* with a mask"):
        matching(masked(), labels, weights)
