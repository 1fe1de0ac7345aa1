import numpy as np
import pytest
import scipy.special
from fake_statistics import FakeStatistics

from keras_ff import contributions


@pytest.mark.parametrize("source", ("validation", "training"))
@pytest.mark.parametrize(
    "losses",
    [
        [0.3, 1.2, 0.7],
        [2.302, 2.302, 2.302, 2.302],
        [0.0],
        [1e4, 1e4 + 1.0],
        [0.0, 1000.0, 5.0],
    ],
)
def test_softmax_of_minus_the_losses(losses, source):
    contribution = contributions.LossAware(source=source)
    weights = contribution.update(FakeStatistics(losses))
    expected = scipy.special.softmax(-np.array(losses))
    np.testing.assert_allclose(weights, expected, rtol=1e-5, atol=1e-30)
    assert weights.sum() == pytest.approx(1.0)


def test_the_ratio_of_two_weights():
    weights = contributions.LossAware().update(FakeStatistics([1.0, 1.5]))
    assert weights[0] / weights[1] == pytest.approx(np.exp(0.5), rel=1e-6)


def test_initial_weights_are_even():
    weights = contributions.LossAware().initial_weights(4)
    np.testing.assert_allclose(weights, [0.25] * 4)


def test_source():
    assert contributions.LossAware().source == "validation"
    assert contributions.LossAware("training").source == "training"
    assert not contributions.LossAware().measures_intervals


@pytest.mark.parametrize("source", ("test", None, "Validation", ""))
def test_bad_source(source):
    with pytest.raises(ValueError, match=f"source={source!r}"):
        contributions.LossAware(source=source)
