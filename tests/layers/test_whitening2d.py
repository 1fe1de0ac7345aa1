import keras
import numpy as np
import pytest
from reference.arrays import numpy

from keras_ff import layers


def images(size=40, channels=3, seed=0):
    """Images whose neighbors are alike, on the scale of pixels."""
    x = np.random.default_rng(seed).normal(size=(size, 7, 6, channels))
    return (128 + 20 * (x + 0.9 * np.roll(x, 1, axis=2))).astype("float32")


def patches(x):
    """Patches of 2x2 pixels, written out."""
    return np.stack(
        [x[:, i : i + 6, j : j + 5] for i in (0, 1) for j in (0, 1)], axis=-2
    ).reshape(-1, 6, 5, 4 * x.shape[-1])


def test_output_is_white_and_has_both_signs():
    x = images()
    layer = layers.Whitening2D(epsilon=1e-6)
    layer.adapt(x)
    output = numpy(layer(x)).reshape(-1, 24).astype("float64")
    np.testing.assert_allclose(output[:, :12], -output[:, 12:], atol=1e-3)
    np.testing.assert_allclose(output.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(
        np.cov(output[:, :12].T, bias=True), np.eye(12), atol=2e-3
    )


def test_formula():
    x = images()
    layer = layers.Whitening2D(epsilon=0.1)
    layer.adapt(x)
    flat = patches(x.astype("float64")).reshape(-1, 12)
    variance, vectors = np.linalg.eigh(np.cov(flat.T, bias=True))
    expected = (flat - flat.mean(axis=0)) @ vectors
    expected /= np.sqrt(variance + 0.1 * variance.mean())
    found = numpy(layer(x)).reshape(-1, 24)[:, :12]
    # The direction of most variance first; signs are free.
    np.testing.assert_allclose(
        np.abs(found), np.abs(expected[:, ::-1]), atol=2e-4
    )


def test_scale_of_the_pixels_does_not_matter():
    outputs = []
    for x in (images(), images() / 255):
        layer = layers.Whitening2D()
        layer.adapt(x)
        outputs.append(np.abs(numpy(layer(x))))
    np.testing.assert_allclose(*outputs, atol=1e-3)


def test_batches_channels_first_and_same():
    x = images()
    whole, batched = layers.Whitening2D(), layers.Whitening2D()
    whole.adapt(x)
    batched.adapt([(x[:16], 0), (x[16:], 1)])
    np.testing.assert_allclose(
        numpy(batched.kernel), numpy(whole.kernel), atol=1e-6
    )
    first = layers.Whitening2D(data_format="channels_first")
    first.adapt(x.transpose(0, 3, 1, 2))
    np.testing.assert_allclose(
        numpy(first.kernel), numpy(whole.kernel), atol=1e-6
    )
    same = layers.Whitening2D(padding="same")
    same.adapt(x)
    assert same(x).shape == same.compute_output_shape(x.shape) == (40, 7, 6, 24)


def test_fixed_saved_and_exported(tmp_path):
    x = images()
    model = keras.Sequential([keras.Input((7, 6, 3)), layers.Whitening2D()])
    model.layers[0].adapt(x)
    assert not model.trainable_variables
    expected = model.predict(x, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), expected)
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    np.testing.assert_allclose(numpy(clone(x)), expected, atol=1e-5)


def test_used_before_adapt():
    model = keras.Sequential([keras.Input((7, 6, 3)), layers.Whitening2D()])
    with pytest.raises(ValueError, match="adapt_whitening"):
        model.predict(images(4), verbose=0)
    with pytest.raises(ValueError, match="adapt_whitening"):
        layers.Whitening2D()(images(4))


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: images(2, 4), "4\\)"),
        (lambda: images()[:0], "needs more than 12 patches"),
        (lambda: images()[0], "four axes"),
        (lambda: images()[:, :1], "at least 2 x 2"),
        (lambda: images() * np.nan, "finite"),
        (lambda: images() * 0, "without variance"),
    ],
)
def test_bad_images(make, message):
    layer = layers.Whitening2D()
    layer.build((None, 7, 6, 3))
    with pytest.raises(ValueError, match=message):
        layer.adapt(make())


def test_images_with_labels():
    with pytest.raises(TypeError, match=r"tuple of 2 arrays.*data\[0\]"):
        layers.Whitening2D().adapt((images(), np.zeros(40)))


@pytest.mark.parametrize(
    "arguments",
    [dict(patch_size=0), dict(epsilon=0.0), dict(padding="causal")],
)
def test_bad_arguments(arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=name):
        layers.Whitening2D(**arguments)
