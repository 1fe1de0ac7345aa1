"""The local convolutions of sequences, against NumPy's and Keras's."""

import keras
import numpy as np
import pytest
from reference import numpy_reference as ref
from reference.arrays import normal
from reference.arrays import numpy
from reference.arrays import perturb
from reference.backend import has_channels_first

from keras_ff import layers
from keras_ff.keras_private import mask_of
from keras_ff.layers.masks import with_mask
from keras_ff.models import ForwardOnlyModel

X = normal((3, 7, 2), 3, offset=0.2)
LENGTHS = (7, 1, 4)
MASK = np.arange(7) < np.array(LENGTHS)[:, None]
GEOMETRIES = [
    ("valid", 1, 1),
    ("valid", 2, 1),
    ("valid", 1, 2),
    ("same", 1, 1),
    ("same", 1, 2),
    ("causal", 1, 1),
    ("causal", 3, 1),
    ("causal", 1, 2),
]


def convolve(x, kernel, padding, stride, dilation):
    """As one row of an image."""
    if padding == "causal":
        x = np.pad(x, [(0, 0), ((len(kernel) - 1) * dilation, 0), (0, 0)])
        padding = "valid"
    y = ref.conv2d(
        x[:, None], kernel[None], (1, stride), padding, (1, dilation)
    )
    return ref.relu(y[:, 0])


def _assigned(layer, y):
    m = ref.shares(numpy(layer.assignment), numpy(layer.log_temperature))
    return ref.pool(y) @ m


def _nearest(layer, y):
    embedding = layer.head.embedding
    u = y.mean(1) @ numpy(embedding.kernel)[0]
    return ref.prototype_scores(u, numpy(layer.prototypes), 10.0)


def _instance(y):
    return ref.standardize(y, (1,)) if y.shape[1] > 1 else y


LAYERS = {
    layers.CAWConv1D: (_assigned, _instance),
    layers.CWConv1D: (
        lambda layer, y: ref.group_mean(y, 3),
        lambda y: ref.group_norm(y, 3),
    ),
    layers.PrototypeConv1D: (_nearest, _instance),
}


def built(make, padding, stride, dilation):
    layer = make(
        6,
        3,
        num_classes=3,
        dropout=0.0,
        padding=padding,
        strides=stride,
        dilation_rate=dilation,
    )
    layer.build((None, None, 2))
    return perturb(layer)


# They are those of one convolution, whatever is made of it.
@pytest.mark.parametrize(
    "make, padding, stride, dilation",
    [
        pytest.param(
            make,
            *geometry,
            marks=[]
            if geometry == GEOMETRIES[0] or make is list(LAYERS)[0]
            else pytest.mark.only_on("torch"),
        )
        for make in LAYERS
        for geometry in GEOMETRIES
    ],
)
def test_goodness_and_features(make, padding, stride, dilation):
    layer = built(make, padding, stride, dilation)
    score, normalize = LAYERS[make]
    kernel = numpy(layer.kernel)
    y = convolve(X, kernel, padding, stride, dilation)
    features, goodness = layer(X)
    np.testing.assert_allclose(numpy(goodness), score(layer, y), atol=5e-6)
    np.testing.assert_allclose(numpy(features), normalize(y), atol=5e-5)
    plain = keras.layers.Conv1D(
        6,
        3,
        strides=stride,
        padding=padding,
        dilation_rate=dilation,
        use_bias=False,
        activation="relu",
    )
    plain.build(X.shape)
    plain.kernel.assign(kernel)
    np.testing.assert_allclose(numpy(plain(X)), y, atol=2e-6)
    assert layer.compute_output_shape(X.shape)[0] == y.shape

    # Of sequences with padding, as of each without it.
    masked = with_mask(
        keras.ops.convert_to_tensor(np.where(MASK[..., None], X, 1e4)),
        keras.ops.convert_to_tensor(MASK),
    )
    features, goodness = layer(masked)
    shown = numpy(mask_of(features))
    assert shown.shape == y.shape[:2]
    for i, length in enumerate(LENGTHS):
        reach = 2 * dilation + 1
        if padding == "valid" and length < reach:
            assert not shown[i].any()
            continue
        y = convolve(X[i : i + 1, :length], kernel, padding, stride, dilation)
        steps = y.shape[1]
        assert shown[i, :steps].all() and not shown[i, steps:].any()
        np.testing.assert_allclose(
            numpy(goodness)[i], score(layer, y)[0], atol=2e-5
        )
        np.testing.assert_allclose(
            numpy(features)[i, :steps], normalize(y)[0], atol=1e-4
        )


@pytest.mark.skipif(
    not has_channels_first(), reason="no channels-first convolution"
)
@pytest.mark.parametrize("normalization", ["instance", "rms"])
@pytest.mark.parametrize("make", LAYERS)
def test_channels_first(make, normalization):
    arguments = dict(num_classes=3, padding="causal", strides=2)
    arguments["normalization"] = normalization
    last = make(6, 3, **arguments)
    last.build(X.shape)
    perturb(last)
    first = make(6, 3, data_format="channels_first", **arguments)
    x = X.transpose(0, 2, 1)
    first.build(x.shape)
    first.set_weights(last.get_weights())
    mask = keras.ops.convert_to_tensor(MASK)
    expected = last(with_mask(keras.ops.convert_to_tensor(X), mask))
    features, goodness = first(with_mask(keras.ops.convert_to_tensor(x), mask))
    np.testing.assert_allclose(numpy(goodness), numpy(expected[1]), atol=1e-5)
    np.testing.assert_allclose(
        numpy(features).transpose(0, 2, 1), numpy(expected[0]), atol=2e-5
    )


@pytest.mark.only_on("torch")
@pytest.mark.parametrize(
    "make",
    [
        layers.CAWConv1D,
        pytest.param(layers.CWConv1D, marks=pytest.mark.only_on("torch")),
        pytest.param(
            layers.PrototypeConv1D, marks=pytest.mark.only_on("torch")
        ),
    ],
)
def test_in_a_model(make, tmp_path):
    """Padding changes nothing that is learned, predicted or saved."""
    x = np.where(MASK[..., None], X, 0).astype("float32")
    y = np.array([0, 2, 1])
    learned = []
    for more in (0, 3):
        keras.utils.set_random_seed(1)
        model = ForwardOnlyModel(
            [
                keras.Input((None, 2)),
                keras.layers.Masking(),
                make(6, 3, num_classes=3, dropout=0.0, padding="causal"),
                make(6, 2, num_classes=3, dropout=0.0, padding="same"),
            ]
        )
        padded = np.pad(x, [(0, 0), (0, more), (0, 0)])
        model.compile(keras.optimizers.SGD(0.1))
        model.fit(padded, y, verbose=0)
        learned.append(model.predict(padded, verbose=0))
    np.testing.assert_allclose(*learned, atol=2e-5)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.predict(x, verbose=0), learned[0], 1e-4)


@pytest.mark.only_on("torch")
def test_bad_input():
    for shape in ((8,), (8, 8, 2)):
        message = r"'conv' takes sequences: three axes.*\(None, 8"
        with pytest.raises(ValueError, match=message):
            layers.CAWConv1D(6, 3, 3, name="conv")(keras.Input(shape))
    masked = with_mask(keras.Input((7, 2)), keras.Input((7,), dtype="bool"))
    layer = layers.CAWConv1D(6, 3, 3, padding="same", strides=2)
    assert layer(keras.Input((7, 2)))[1].shape == (None, 3)
    with pytest.raises(ValueError, match="strides=2.*Use padding='causal'"):
        layer(masked)
    with pytest.raises(ValueError, match="filters=7, num_classes=3"):
        layers.CWConv1D(7, 3, num_classes=3)
