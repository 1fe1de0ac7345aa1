import keras
import numpy as np
import pytest
from reference.arrays import numpy

from keras_ff import applications
from keras_ff import losses
from keras_ff import methods
from keras_ff import optimizers
from keras_ff.models import adapt_whitening

pytestmark = pytest.mark.eager

METHODS = [n for n in methods.names() if methods.get(n).makes("auxiliary_head")]
X = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), "uint8")
Y = np.arange(20) % 4


def build(method, **arguments):
    model = applications.whitened_cnn(
        (8, 8, 3), 4, method, width_multiplier=0.05, **arguments
    )
    adapt_whitening(model, X)
    return model


# Elsewhere the next but one trains a step of all layers.
@pytest.mark.only_on("torch")
@pytest.mark.parametrize("method", METHODS)
def test_trains(method):
    keras.utils.set_random_seed(0)
    model = build(method)
    model.compile(
        optimizers.Muon(
            0.1, rms_rate=None, normalize_weights=True, adam_lr_ratio=0.1
        ),
        loss=losses.LocalCrossentropy(0.1),
        metrics=["accuracy"],
    )
    history = model.fit(X, Y, batch_size=20, epochs=4, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert not model.get_layer("whitening").trainable_variables


def test_published_size_and_the_later_half():
    model = applications.whitened_cnn((32, 32, 3), 10)
    # Six kernels, six auxiliary ones and the prototypes are nearly all.
    kernels = 9 * (24 * 64 + 64**2 + 64 * 128 + 3 * 128**2)
    auxiliary = 9 * 128 * (2 * 64 + 4 * 128)
    prototypes = 6 * 10 * 4 * 128
    # A shift a channel and a scale a head besides.
    others = 2 * 64 + 4 * 128 + 6 * 128 + 6
    assert sum(int(np.prod(v.shape)) for v in model.trainable_variables) == (
        kernels + auxiliary + prototypes + others
    )
    np.testing.assert_array_equal(
        model.contribution.weights, [0, 0, 0, 1, 1, 1]
    )


@pytest.mark.only_on("torch")
def test_one_block_of_all_convolutions_is_backpropagation():
    keras.utils.set_random_seed(0)
    local = build("prototype", convolutions_per_block=6)
    whole = build("backprop")
    assert len(local.local_layers) == 1
    for mine, its in zip(local.weights, whole.weights):
        its.assign(numpy(mine))
    before = [numpy(v) for v in whole.trainable_variables]
    for model in (local, whole):
        model.compile(
            keras.optimizers.SGD(0.1),
            loss=losses.LocalCrossentropy(0.1),
            run_eagerly=keras.backend.backend() != "jax",
        )
        model.train_on_batch(X, Y)
    after = zip(before, whole.trainable_variables, local.trainable_variables)
    for old, expected, found in after:
        assert not np.allclose(old, numpy(expected), atol=1e-7)
        np.testing.assert_allclose(
            numpy(found), numpy(expected), rtol=1e-4, atol=1e-5
        )


@pytest.mark.only_on("torch")
@pytest.mark.parametrize("number, blocks", [(1, 6), (2, 3), (3, 2), (4, 2)])
def test_convolutions_of_a_block(number, blocks):
    model = build("projection", convolutions_per_block=number)
    counts = [
        sum(isinstance(layer, keras.layers.Conv2D) for layer in local.layers)
        for local in model.local_layers
    ]
    assert counts == [number] * (blocks - 1) + [6 - number * (blocks - 1)]
    skipped = max(1, blocks // 2)
    np.testing.assert_array_equal(
        model.contribution.weights, [0] * skipped + [1] * (blocks - skipped)
    )


@pytest.mark.only_on("torch")
def test_grid_normalization_and_a_learned_first_layer():
    for grid in (1, 2, 4):
        model = build("prototype", grid=grid)
        # 128 channels at 0.05 of the width.
        assert model.local_layers[0].head.head.prototypes.shape == (
            *(4, 1),
            6 * grid**2,
        )

    def count(model, name):
        return sum(v.name == name for v in model.trainable_variables)

    # Six layers and six heads.
    for normalization, shifts, biases in (
        ("batch", 12, 0),
        ("instance", 0, 0),
        (None, 0, 12),
    ):
        model = build("prototype", normalization=normalization)
        assert count(model, "beta") == shifts
        assert count(model, "bias") == biases
    # Instances need no others of their batch.
    model = build("prototype", normalization="instance")
    np.testing.assert_allclose(
        numpy(model(X, training=True))[:5],
        numpy(model(X[:5], training=True)),
        rtol=1e-3,
        atol=1e-4,
    )

    model = applications.whitened_cnn((8, 8, 3), 4, whitening=False)
    assert not any("whitening" in layer.name for layer in model.layers)
    first, second = [
        v.shape
        for v in model.local_layers[0].trainable_variables
        if v.name == "kernel"
    ][:2]
    # As many channels as the whitening has.
    assert first == (2, 2, 3, 24) and second == (3, 3, 24, 64)


@pytest.mark.only_on("torch")
def test_channels_first():
    keras.config.set_image_data_format("channels_first")
    model = applications.whitened_cnn((3, 8, 8), 4, "projection")
    shifts = [v for v in model.trainable_variables if v.name == "beta"]
    # A shift a channel of every layer, and of the convolution of its head.
    widths = [64, 64, 128, 128, 128, 128]
    assert [v.shape[0] for v in shifts] == [
        n for width in widths for n in (width, 128)
    ]


@pytest.mark.only_on("torch")
def test_without_auxiliary_convolution():
    for method in ("prototype", "projection", "caw"):
        model = build(method, auxiliary_channels=None)
        assert numpy(model(X)).shape == (20, 4)
        kernels = [v for v in model.trainable_variables if len(v.shape) == 4]
        assert len(kernels) == 6


@pytest.mark.only_on("torch")
@pytest.mark.parametrize(
    "pixels,size,expected",
    [
        (32, 8, [8, 8, 8, 8, 8, 4]),
        (28, 8, [7, 7, 7, 7, 7, 3]),
        (12, 8, [6, 6, 6, 3, 3, 1]),
        (32, None, [32, 16, 16, 8, 8, 4]),
    ],
)
def test_auxiliary_convolutions_see_averages(pixels, size, expected):
    model = applications.whitened_cnn(
        (pixels, pixels, 3), 4, width_multiplier=0.1, auxiliary_size=size
    )
    found = []
    for layer in model.local_layers:
        shape = layer.compute_output_shape(layer.input.shape)[0]
        for part in layer.head.layers:
            shape = part.compute_output_shape(shape)
            if isinstance(part, keras.layers.Conv2D):
                found.append(shape[1])
    assert found == expected


@pytest.mark.only_on("torch")
def test_dropout_follows_every_activation():
    for dropout, rates in ((0.0, []), (0.2, [0.2] * 6), (None, [0.1] * 6)):
        model = build("projection", dropout=dropout)
        found = [
            layer.rate
            for local in model.local_layers
            for layer in local.layers
            if isinstance(layer, keras.layers.Dropout)
        ]
        assert found == rates


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(method="unknown"), "method='unknown'"),
        (
            dict(method="backprop", model_options={"layer_clip": 1}),
            r"Received: \['layer_clip'\]",
        ),
        (dict(width_multiplier=0), "width_multiplier=0"),
        (
            dict(method="cw"),
            "'cw' has no auxiliary_head layers.*'caw', 'contrast', 'deep",
        ),
        (dict(layer_options={"pooling": 3}), r"Received: \['pooling'\]"),
        (dict(input_shape=(7, 8, 3)), "at least 8 x 8"),
        (
            dict(convolutions_per_block=0),
            "`convolutions_per_block` must be at least 1",
        ),
        (dict(convolutions_per_block=7), "There are 6 convolutions"),
        (dict(dropout=1), r"`dropout` must be in \[0, 1\)"),
        (dict(grid=0), "`grid` must be at least 1"),
        (dict(auxiliary_size=0), "`auxiliary_size` must be at least 1"),
        (dict(normalization="layer"), "one of .*Received: normalization='lay"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        applications.whitened_cnn(
            **{"input_shape": (8, 8, 3), "num_classes": 4, **arguments}
        )
