import keras
import numpy as np
import pytest

from keras_ff.datasets import AugmentedBatches

pytestmark = pytest.mark.only_on("torch")

X = np.random.default_rng(0).integers(0, 256, (12, 7, 6, 2), "uint8")
Y = np.arange(12)


def variants(image, shift):
    """All shifted images, with and without mirroring, by NumPy's padding."""
    height, width, _ = image.shape
    padded = np.pad(image, ((shift,) * 2, (shift,) * 2, (0, 0)), "reflect")
    return {
        (i, j, flip): padded[i : i + height, j : j + width][:, ::flip]
        for i in range(2 * shift + 1)
        for j in range(2 * shift + 1)
        for flip in (1, -1)
    }


def epoch(batches):
    found = [batches[i] for i in range(len(batches))]
    x = np.concatenate([keras.ops.convert_to_numpy(x) for x, _ in found])
    y = np.concatenate([keras.ops.convert_to_numpy(y) for _, y in found])
    return x[np.argsort(y)]


def how(image, found, shift):
    fits = [
        key
        for key, value in variants(image, shift).items()
        if np.array_equal(value, found)
    ]
    assert len(fits) == 1
    return fits[0]


@pytest.mark.parametrize("convert", [np.asarray, keras.ops.convert_to_tensor])
def test_shifted_and_mirrored_in_every_other_epoch(convert):
    batches = AugmentedBatches((convert(X), convert(Y)), 5, seed=3)
    seen = []
    for number in range(2):
        batches.set_epoch(number)
        seen.append([how(*pair, 2) for pair in zip(X, epoch(batches))])
    first, second = seen
    assert len({key[:2] for key in first + second}) > 8
    mirrored = {key[2] for key in first}
    assert mirrored == {1, -1}
    for one, other in zip(first, second):
        assert one[2] == -other[2]
    batches.set_epoch(0)
    np.testing.assert_array_equal(
        [how(*pair, 2) for pair in zip(X, epoch(batches))], first
    )


def test_without_shift_and_flip_nothing_changes():
    batches = AugmentedBatches((X, Y), 4, seed=0, shift=0, flip=False)
    np.testing.assert_array_equal(epoch(batches), X)


@pytest.mark.parametrize(
    "arrays, shift, message",
    [((X, Y), 6, "shift=6"), ((X[0], Y[:6]), 1, "shape")],
)
def test_bad_arguments(arrays, shift, message):
    with pytest.raises(ValueError, match=message):
        AugmentedBatches(arrays, 4, seed=0, shift=shift)
