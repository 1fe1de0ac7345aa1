import keras
import numpy as np
import pytest
from reference.backend import gradients

from keras_ff import layers

MAPS = np.random.default_rng(0).normal(size=(4, 6, 5, 3)).astype("float32")


@pytest.mark.parametrize("strides", [2, (2, 1), (3, 2)])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_strides_of_one_pixel(strides, data_format, padding):
    layer = layers.PrototypeConv2D(
        4,
        1,
        num_classes=2,
        strides=strides,
        padding=padding,
        activation="linear",
        normalization=None,
        data_format=data_format,
    )
    first = data_format == "channels_first"
    if first and keras.backend.backend() == "tensorflow":
        pytest.skip("TensorFlow has no such convolution on CPUs")
    maps = keras.ops.convert_to_tensor(
        MAPS.transpose(0, 3, 1, 2) if first else MAPS
    )
    features = keras.ops.convert_to_numpy(layer(maps)[0])
    if first:
        features = features.transpose(0, 2, 3, 1)
    rows, columns = strides if isinstance(strides, tuple) else (strides,) * 2
    taken = MAPS[:, ::rows, ::columns]
    kernel = keras.ops.convert_to_numpy(layer.kernel)[0, 0]
    np.testing.assert_allclose(features, taken @ kernel, atol=1e-5)

    def loss():
        return keras.ops.sum(keras.ops.square(layer.activate(maps)))

    (found,) = gradients(loss, [layer.kernel])
    expected = 2 * np.einsum("brci,brco->io", taken, taken @ kernel)
    np.testing.assert_allclose(found[0, 0], expected, rtol=1e-4)
