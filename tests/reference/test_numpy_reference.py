"""The reference itself, against SciPy and numbers worked out by hand."""

import numpy as np
import pytest
import scipy.signal
from reference import numpy_reference as ref


def test_conv2d_valid_is_scipys_correlation():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 6, 7, 3))
    kernel = rng.normal(size=(3, 2, 3, 4))
    result = ref.conv2d(x, kernel)
    for b in range(2):
        for o in range(4):
            expected = sum(
                scipy.signal.correlate2d(
                    x[b, :, :, i], kernel[:, :, i, o], mode="valid"
                )
                for i in range(3)
            )
            np.testing.assert_allclose(result[b, :, :, o], expected)
    strided = ref.conv2d(x, kernel, strides=(2, 3))
    np.testing.assert_allclose(strided, result[:, ::2, ::3])


def test_conv2d_same_puts_the_odd_row_at_the_end():
    x = np.arange(1.0, 5.0).reshape(1, 1, 4, 1)
    kernel = np.array([1.0, 10.0]).reshape(1, 2, 1, 1)
    result = ref.conv2d(x, kernel, padding="same")
    np.testing.assert_array_equal(result[0, 0, :, 0], [21, 32, 43, 4])
    kernel = np.array([1.0, 10.0, 100.0]).reshape(1, 3, 1, 1)
    strided = ref.conv2d(x, kernel, strides=(1, 2), padding="same")
    np.testing.assert_array_equal(strided[0, 0, :, 0], [321, 43])


def test_dilated_conv2d():
    x = np.arange(1.0, 6.0).reshape(1, 1, 5, 1)
    kernel = np.array([1.0, 10.0]).reshape(1, 2, 1, 1)
    result = ref.conv2d(x, kernel, dilation=(1, 3))
    np.testing.assert_array_equal(result[0, 0, :, 0], [41, 52])


def test_penalties_of_known_assignments():
    one_hot = np.eye(2)[[0, 0, 1, 1]]
    assert abs(ref.entropy(one_hot)) < 1e-9
    assert abs(ref.orthogonality(one_hot, "normalized")) < 1e-9
    uniform = np.full((4, 2), 0.5)
    assert ref.entropy(uniform) == pytest.approx(4 * np.log(2) / 2)
    assert ref.entropy(uniform, "normalized") == pytest.approx(np.log(2))
    # All columns equal: the Gram matrix is all ones.
    assert ref.orthogonality(uniform, "normalized") == pytest.approx(0.5)
    assert ref.orthogonality(uniform) == pytest.approx(0.5 / (4 * 4))


def test_published_magnitudes():
    uniform = np.full((100, 10), 0.1)
    assert 1e-2 * ref.entropy(uniform) == pytest.approx(0.23, abs=0.005)
    uniform = np.full((800, 10), 0.1)
    assert 1e-2 * ref.entropy(uniform) == pytest.approx(1.84, abs=0.005)


def test_supervised_contrast_of_orthogonal_classes():
    vectors = np.eye(2)[[0, 0, 1, 1, 1]] * [[1], [2], [3], [4], [5]]
    losses = ref.supervised_contrast(vectors, [0, 0, 1, 1, 1], 0.5)
    of_two = -np.log(np.e**2 / (np.e**2 + 3))
    of_three = -np.log(np.e**2 / (2 * np.e**2 + 2))
    np.testing.assert_allclose(losses, [of_two] * 2 + [of_three] * 3)
    # Alone of its class.
    assert ref.supervised_contrast(vectors, [0, 1, 2, 3, 4], 0.5).sum() == 0


def test_similarities_of_labels():
    found = ref.similarities(np.eye(5)[[2, 2, 4]])
    expected = [[1, 1, -0.25], [1, 1, -0.25], [-0.25, -0.25, 1]]
    np.testing.assert_allclose(found, expected)


def test_numeric_gradient():
    point = np.array([[1.0, -2.0]])
    result = ref.numeric_gradient(lambda a: (a**3).sum(), point)
    np.testing.assert_allclose(result, 3 * point**2, rtol=1e-8)
