import keras
import numpy as np
import pytest
from reference import numpy_reference as ref
from reference.arrays import normal
from reference.arrays import numpy

from keras_ff import layers


def test_mean_of_contiguous_channels():
    x = np.array([[1.0, 3.0, 10.0, 20.0, -4.0, 0.0]], "float32")
    goodness = layers.ChannelGroups(3)(x)
    np.testing.assert_allclose(numpy(goodness), [[2.0, 15.0, -2.0]])
    goodness = layers.ChannelGroups(2)(x)
    np.testing.assert_allclose(numpy(goodness), [[14 / 3, 16 / 3]], rtol=1e-6)


def test_channels_first():
    keras.config.set_image_data_format("channels_first")
    x = normal((4, 6, 2, 5), 1)
    expected = ref.group_mean(x.transpose(0, 2, 3, 1), 3)
    goodness = layers.ChannelGroups(3)(x)
    np.testing.assert_allclose(numpy(goodness), expected, atol=1e-6)
    # An argument goes before the setting.
    x = normal((4, 2, 5, 6), 1)
    goodness = layers.ChannelGroups(3, data_format="channels_last")(x)
    np.testing.assert_allclose(numpy(goodness), ref.group_mean(x, 3), atol=1e-6)


def test_channels_that_do_not_divide():
    with pytest.raises(ValueError, match="num_classes=3.*7 channels"):
        layers.ChannelGroups(3)(normal((2, 4, 4, 7)))


@pytest.mark.parametrize("num_classes", (1, 0, -2, 2.0, "3", None))
def test_bad_num_classes(num_classes):
    with pytest.raises(ValueError, match="integer of at least 2"):
        layers.ChannelGroups(num_classes)
