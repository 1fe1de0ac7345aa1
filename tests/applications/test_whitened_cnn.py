import keras
import numpy as np
import pytest
from reference.arrays import numpy

from keras_ff import applications
from keras_ff import losses
from keras_ff import methods
from keras_ff import optimizers
from keras_ff.models import adapt_whitening

METHODS = [n for n in methods.names() if methods.get(n).makes("auxiliary_head")]
X = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), "uint8")
Y = np.arange(20) % 4


def build(method, **arguments):
    model = applications.whitened_cnn(
        (8, 8, 3), 4, method, width_multiplier=0.05, **arguments
    )
    adapt_whitening(model, X)
    return model


def of_backend(method):
    """All methods where nothing is compiled, one of them elsewhere."""
    marks = [] if method == "caw" else [pytest.mark.only_on("torch")]
    return pytest.param(method, marks=marks)


@pytest.mark.parametrize("method", [of_backend(name) for name in METHODS])
def test_trains(method):
    keras.utils.set_random_seed(0)
    model = build(method)
    model.compile(
        optimizers.Muon(
            0.1, rms_rate=None, normalize_weights=True, adam_lr_ratio=0.1
        ),
        loss=losses.LocalCrossentropy(0.1),
        metrics=["accuracy"],
        # Four steps are not worth a compilation, where there is a choice.
        run_eagerly=keras.backend.backend() != "jax",
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
def test_without_auxiliary_convolution():
    for method in ("prototype", "projection", "caw"):
        model = build(method, auxiliary_channels=None)
        assert numpy(model(X)).shape == (20, 4)
        kernels = [v for v in model.trainable_variables if len(v.shape) == 4]
        assert len(kernels) == 6


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
        (dict(method="cw"), "'cw' has no auxiliary_head layers.*'caw', 'deep"),
        (dict(layer_options={"pooling": 3}), r"Received: \['pooling'\]"),
        (dict(input_shape=(7, 8, 3)), "at least 8 x 8"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        applications.whitened_cnn(
            **{"input_shape": (8, 8, 3), "num_classes": 4, **arguments}
        )
