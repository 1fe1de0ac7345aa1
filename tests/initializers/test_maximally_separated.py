import numpy as np
import pytest
from reference.arrays import numpy

from keras_ff.initializers import MaximallySeparated


@pytest.mark.parametrize("shape", [(10, 1, 32), (4, 1, 3), (3, 2, 7), (2, 1)])
def test_every_two_vectors_have_the_same_cosine(shape):
    vectors = numpy(MaximallySeparated(seed=1)(shape, "float32"))
    assert vectors.shape == shape
    rows = vectors.reshape(-1, shape[-1])
    cosines = rows @ rows.T
    expected = np.full_like(cosines, -1 / (len(rows) - 1))
    np.fill_diagonal(expected, 1.0)
    np.testing.assert_allclose(cosines, expected, atol=1e-5)


def test_seed_rotates():
    one, same, other = [
        numpy(MaximallySeparated(seed)((5, 1, 8))) for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 0.1


@pytest.mark.parametrize("shape", [(10, 1, 8), (5, 2, 8), (1, 1, 4)])
def test_too_few_dimensions_or_vectors(shape):
    with pytest.raises(ValueError, match=r"Received: \d+ vectors of \d dim"):
        MaximallySeparated()(shape)


def test_config_round_trip():
    copy = MaximallySeparated.from_config(MaximallySeparated(3).get_config())
    np.testing.assert_array_equal(
        numpy(copy((3, 1, 4))), numpy(MaximallySeparated(3)((3, 1, 4)))
    )
