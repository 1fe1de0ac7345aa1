"""What all contributions share, and the two fixed ones."""

import json

import keras
import numpy as np
import pytest

from keras_ff import contributions

EVERY = [
    contributions.Uniform(),
    contributions.Last(),
    contributions.LossAware(),
    contributions.LossAware(source="training"),
    contributions.Interval(),
]
each = pytest.mark.parametrize(
    "contribution", EVERY, ids=lambda c: type(c).__name__
)


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


@each
def test_weights_before_there_is_a_model(contribution):
    name = type(contribution).__name__
    with pytest.raises(ValueError, match=f"{name} has no weights yet"):
        _ = contribution.weights


@each
def test_config_round_trip(contribution):
    data = keras.saving.serialize_keras_object(contribution)
    copy = keras.saving.deserialize_keras_object(json.loads(json.dumps(data)))
    assert type(copy) is type(contribution)
    assert copy.get_config() == contribution.get_config()
    assert copy.source == contribution.source
    assert copy.measures_intervals == contribution.measures_intervals


@each
@pytest.mark.parametrize("num_layers", (1, 2, 17))
def test_initial_weights(contribution, num_layers):
    weights = contribution.initial_weights(num_layers)
    assert weights.shape == (num_layers,)
    assert np.all(weights >= 0)
    assert weights.max() > 0


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
