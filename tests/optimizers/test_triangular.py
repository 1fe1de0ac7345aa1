import keras
import numpy as np
import pytest
from reference.arrays import numpy

from keras_ff import optimizers


def test_rises_and_falls():
    schedule = optimizers.Triangular(0.1, steps=20, warmup=0.1)
    found = [float(numpy(schedule(step))) for step in range(21)]
    expected = [0.05, *(0.1 * (20 - step) / 18 for step in range(1, 21))]
    # The second step is the peak's: not yet beyond it.
    expected[1] = min(0.1, expected[1])
    np.testing.assert_allclose(found, expected, atol=1e-7)


def test_configuration():
    schedule = optimizers.Triangular(0.1, steps=20, warmup=0.0)
    copy = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(schedule)
    )
    assert copy.get_config() == schedule.get_config()
    assert float(numpy(copy(0))) == pytest.approx(0.1)


@pytest.mark.parametrize(
    "arguments",
    [
        dict(steps=0),
        dict(steps=10.5),
        dict(steps="10"),
        dict(peak=0.0),
        dict(peak="a"),
        dict(warmup=1.0),
    ],
)
def test_bad_arguments(arguments):
    (name,) = arguments
    with pytest.raises((TypeError, ValueError), match=f"{name}="):
        optimizers.Triangular(**{"peak": 0.1, "steps": 5, **arguments})
