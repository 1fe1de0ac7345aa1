import keras
import numpy as np
from reference.arrays import numpy

from keras_ff.initializers import OneClassAChannel


def test_contiguous_groups():
    values = numpy(OneClassAChannel()((7, 3), "float32"))
    np.testing.assert_array_equal(values.argmax(1), [0, 0, 0, 1, 1, 2, 2])
    # At the highest temperature, 100, nothing is left of the other classes.
    shares = np.exp((values - values.max()) / 100.0)
    hard = np.eye(3)[values.argmax(1)]
    np.testing.assert_allclose(shares, hard, rtol=0, atol=1e-40)


def test_shuffling():
    plain, shuffled, other = [
        numpy(OneClassAChannel(*args)((60, 3), "float32")).argmax(1)
        for args in ((False, 1), (True, 1), (True, 2))
    ]
    assert np.any(shuffled != plain) and np.any(shuffled != other)
    np.testing.assert_array_equal(np.sort(shuffled), plain)


def test_config():
    initializer = OneClassAChannel(shuffle=True, seed=3)
    config = keras.initializers.serialize(initializer)
    copy = keras.initializers.deserialize(config)
    np.testing.assert_array_equal(
        numpy(copy((9, 3), "float32")), numpy(initializer((9, 3), "float32"))
    )
