import keras
import numpy as np
import pytest
from reference.arrays import normal
from reference.arrays import numpy

from keras_ff import layers

X = normal((4, 3, 2, 5), 1)


def test_average():
    head = layers.GoodnessProjection(3)
    head.build(X.shape)
    kernel = normal((5, 3), 2)
    head.projection.kernel.assign(kernel)
    expected = X.astype("float64").mean((1, 2)) @ kernel
    np.testing.assert_allclose(numpy(head(X)), expected, atol=2e-6)
    assert head.projection.bias is None


def test_flatten_with_bias():
    head = layers.GoodnessProjection(3, pooling="flatten", use_bias=True)
    head.build(X.shape)
    kernel, bias = normal((30, 3), 2), normal((3,), 3)
    head.projection.kernel.assign(kernel)
    head.projection.bias.assign(bias)
    expected = X.reshape(4, 30).astype("float64") @ kernel + bias
    np.testing.assert_allclose(numpy(head(X)), expected, atol=2e-6)


@pytest.mark.parametrize("size", [(8, 8), (3, 5), (1, 1)])
def test_a_grid_of_one_cell_is_the_average(size):
    x = normal((4, *size, 2), 1)
    head = layers.GoodnessProjection(3, pooling=1)
    goodness = numpy(head(x))
    expected = x.astype("float64").mean((1, 2)) @ numpy(head.projection.kernel)
    np.testing.assert_allclose(goodness, expected, atol=2e-6)
    assert head.get_config()["pooling"] == 1


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_cells_share_pixels_where_there_are_too_few(data_format):
    for height, width, cells in [(1, 1, 2), (1, 5, 2), (4, 1, 3), (2, 3, 4)]:
        x = normal((3, height, width, 2), 1)
        # Cell i covers the pixels from i * size / n to (i + 1) * size / n.
        expected = np.empty((3, cells, cells, 2))
        for i, j in np.ndindex(cells, cells):
            top, bottom = i * height // cells, -(-(i + 1) * height // cells)
            left, right = j * width // cells, -(-(j + 1) * width // cells)
            cell = x[:, top:bottom, left:right].astype("float64")
            expected[:, i, j] = cell.mean((1, 2))
        if data_format == "channels_first":
            x, expected = (np.moveaxis(a, -1, 1) for a in (x, expected))
        head = layers.GoodnessProjection(
            3, pooling=cells, data_format=data_format
        )
        goodness = numpy(head(x))
        kernel = numpy(head.projection.kernel).astype("float64")
        np.testing.assert_allclose(
            goodness, expected.reshape(3, -1) @ kernel, atol=2e-6
        )


@pytest.mark.parametrize("pooling", [True, False, 1.0])
def test_pooling_that_is_no_number_of_cells(pooling):
    with pytest.raises(ValueError, match=f"pooling={pooling}"):
        layers.GoodnessProjection(3, pooling=pooling)


def test_average_channels_first():
    head = layers.GoodnessProjection(3, data_format="channels_first")
    x = X.transpose(0, 3, 1, 2)
    head.build(x.shape)
    kernel = normal((5, 3), 2)
    head.projection.kernel.assign(kernel)
    expected = X.astype("float64").mean((1, 2)) @ kernel
    np.testing.assert_allclose(numpy(head(x)), expected, atol=2e-6)


def test_kernel_regularizer():
    head = layers.GoodnessProjection(
        3, kernel_regularizer=keras.regularizers.L2(0.5)
    )
    head(X)
    (loss,) = head.losses
    kernel = numpy(head.projection.kernel)
    assert numpy(loss) == pytest.approx(0.5 * (kernel**2).sum(), rel=1e-6)


def test_float32_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_float16")
    head = layers.GoodnessProjection(3)
    head.build(X.shape)
    head.projection.kernel.assign(np.full((5, 3), 0.1))
    # The sum over the map would overflow float16.
    goodness = head(np.full((2, 64, 64, 5), 60.0, "float16"))
    np.testing.assert_allclose(
        numpy(goodness), np.full((2, 3), 30.0), rtol=1e-5
    )


def test_bad_arguments():
    with pytest.raises(ValueError, match="pooling='max'"):
        layers.GoodnessProjection(3, pooling="max")
    with pytest.raises(ValueError, match="least 1.*num_classes=0"):
        layers.GoodnessProjection(0)
