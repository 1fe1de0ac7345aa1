"""What all contributions share, and the two fixed ones."""

import numpy as np
import pytest

from keras_ff import contributions
from keras_ff import testing

EVERY = {
    "loss_aware": contributions.LossAware,
    "uniform": contributions.Uniform,
    "last": contributions.Last,
    "skip_first": contributions.SkipFirst,
    "training": lambda: contributions.LossAware(source="training"),
    "interval": contributions.Interval,
}
once = pytest.mark.only_on("torch")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name == "loss_aware" else [once])
        for name in EVERY
    ],
)
def test_what_every_contribution_must_do(name):
    held = testing.check_contribution(EVERY[name])
    learns = name in ("loss_aware", "training", "interval")
    assert ("update" in held) == learns


def test_uniform():
    weights = contributions.Uniform().initial_weights(3)
    np.testing.assert_array_equal(weights, [1, 1, 1])


def test_last():
    weights = contributions.Last().initial_weights(3)
    np.testing.assert_array_equal(weights, [0, 0, 1])
    np.testing.assert_array_equal(contributions.Last().initial_weights(1), [1])


@pytest.mark.parametrize(
    "make", (contributions.Uniform, contributions.Last, contributions.Interval)
)
def test_fixed_contributions_need_no_data(make):
    learns = make is contributions.Interval
    assert (make().source is not None) == learns


@once
@pytest.mark.parametrize("make", EVERY.values(), ids=EVERY)
def test_weights_before_there_is_a_model(make):
    contribution = make()
    name = type(contribution).__name__
    with pytest.raises(ValueError, match=f"{name} has no weights yet"):
        _ = contribution.weights


def test_base_class():
    with pytest.raises(NotImplementedError):
        contributions.Contribution().initial_weights(3)
    with pytest.raises(NotImplementedError):
        contributions.Contribution().update(None)


def test_a_contribution_of_ones_own():
    class Doubling(contributions.Contribution):
        def initial_weights(self, num_layers):
            return 2.0 ** np.arange(num_layers)

    assert Doubling().source is None
    np.testing.assert_array_equal(Doubling().initial_weights(3), [1, 2, 4])
