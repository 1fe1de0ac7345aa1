import keras
import numpy as np
import pytest
from reference.arrays import normal
from reference.arrays import numpy

from keras_ff import losses

LABELS = np.array([1, 0, 2, 2])
GOODNESS = normal((4, 3), 1, scale=3.0)


def softplus(x):
    return np.log1p(np.exp(x))


def others(label, row):
    return np.delete(row, label)


@pytest.mark.parametrize(
    "labels", [LABELS, LABELS[:, None], np.eye(3, dtype="float32")[LABELS]]
)
def test_logistic_loss(labels):
    expected = np.mean(
        [
            softplus(-row[k]) + softplus(others(k, row)).mean()
            for k, row in zip(LABELS, GOODNESS.astype("float64"))
        ]
    )
    loss = losses.ForwardForwardLoss()(labels, GOODNESS)
    assert numpy(loss) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("alpha", [0.5, 4.0])
def test_symba_loss(alpha):
    expected = np.mean(
        [
            softplus(-alpha * (row[k] - others(k, row))).mean()
            for k, row in zip(LABELS, GOODNESS.astype("float64"))
        ]
    )
    loss = losses.SymBaLoss(alpha)(LABELS, GOODNESS)
    assert numpy(loss) == pytest.approx(expected, rel=1e-5)


def test_large_goodness_overflows_nowhere():
    extreme = np.array([[-1e5, 1e5], [1e5, -1e5]], "float32")
    assert numpy(losses.ForwardForwardLoss()([0, 0], extreme)) == 1e5
    assert numpy(losses.SymBaLoss(1.0)([0, 0], extreme)) == 1e5


@pytest.mark.parametrize("loss", [losses.ForwardForwardLoss, losses.SymBaLoss])
def test_label_that_is_no_candidate_gives_nan(loss):
    assert np.isnan(numpy(loss()([0, 3], GOODNESS[:2])))


@pytest.mark.parametrize("alpha", [0, -1.0, float("inf")])
def test_alpha_out_of_range(alpha):
    with pytest.raises(ValueError, match="`alpha` must be positive"):
        losses.SymBaLoss(alpha)


@pytest.mark.parametrize(
    "loss", [losses.ForwardForwardLoss(), losses.SymBaLoss(2.0)]
)
def test_serializes(loss):
    copy = keras.losses.deserialize(keras.losses.serialize(loss))
    assert copy.get_config() == loss.get_config()
