"""Contributions that are broken in one way each, which the check names."""

import numpy as np
import pytest
from broken import failure
from broken import register

from keras_ff import testing
from keras_ff.contributions import Contribution

pytestmark = pytest.mark.only_on("torch")


class Base(Contribution):
    def initial_weights(self, num_layers):
        return np.ones(num_layers, "float32")


def learning(function):
    """A class that learns weights by a function of itself and losses."""

    @register
    class Learning(Base):
        source = "training"

        def update(self, statistics):
            return function(self, statistics.mean_loss())

    return Learning


@register
class AlwaysThree(Contribution):
    def initial_weights(self, num_layers):
        return np.ones(3, "float32")


@register
class AList(Contribution):
    def initial_weights(self, num_layers):
        return [1.0] * num_layers


@register
class NoSource(Base):
    def update(self, statistics):
        return statistics.mean_loss()


@register
class NoUpdate(Base):
    source = "validation"


@register
class Random(Base):
    def initial_weights(self, num_layers):
        return np.random.default_rng().uniform(size=num_layers)


@register
class LosesSource(Base):
    def __init__(self, source=None):
        self.source = source

    def update(self, statistics):
        return statistics.mean_loss()

    def get_config(self):
        return {"source": None}


def smooth(self, losses):
    self.mean = 0.5 * getattr(self, "mean", losses) + 0.5 * losses
    return self.mean


def in_place(self, losses):
    losses *= -1
    return losses.copy()


def overflowing(self, losses):
    with np.errstate(all="ignore"):
        weights = np.exp(-losses)
        return weights / weights.sum()


@pytest.mark.parametrize(
    "check, make, text",
    [
        ("initial_weights", AlwaysThree, "of 1 layers are no NumPy array of 1"),
        ("initial_weights", AList, "of type list"),
        ("initial_weights", lambda: "uniform", "is no Contribution"),
        ("source", NoSource, "would never be called"),
        ("source", NoUpdate, "no `update`"),
        ("update", learning(smooth), "what was told before"),
        ("update", learning(in_place), "changes the statistics"),
        ("update", learning(overflowing), "at large losses"),
        ("update", learning(lambda s, x: x[:1]), "array of 3 numbers"),
        ("serialization", lambda: LosesSource("training"), "another `source`"),
        ("training", Random, "other weights than `initial_weights`"),
    ],
)
def test_each_check_finds_what_it_is_for(check, make, text):
    assert text in failure("check_contribution", check, make)


def test_arguments():
    with pytest.raises(TypeError, match="makes a Contribution"):
        testing.check_contribution("uniform")
    with pytest.raises(ValueError, match="num_layers=0"):
        testing.check_contribution(Random, 0)
