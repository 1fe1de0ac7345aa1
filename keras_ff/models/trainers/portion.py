from typing import Any

from keras import ops


class Portion:
    """What one of several devices has of a batch: its samples, of how many.

    Means over the samples of a device are made shares of the mean over the
    whole batch, which add up to it. Regularizers and the like, of which every
    device has all, are taken for means.

    Args:
        samples: how many samples this device has.
        weight: the sum of their weights.
        totals: function `() -> (samples, weight)` of all devices together,
            called when they are needed first.
    """

    def __init__(self, samples, weight, totals):
        self.samples = samples
        self._own = samples, weight
        self._totals: Any = totals

    def share(self, value, loss=None):
        """What a value of this device adds to that of the whole batch.

        Args:
            value: scalar.
            loss: the `keras.losses.Loss` that reduced it. `None` for a mean.
        """
        own = divisor(loss, *self._own)
        return value * ops.divide_no_nan(own, self._divisor(loss))

    def whole(self, share):
        """What shares are whose mean, weighted by samples, is their sum."""
        return share * ops.divide_no_nan(self._divisor(), self.samples)

    def factor(self, loss):
        """Makes of `whole` shares the losses summed over this device."""
        return self._divisor(loss) * self.samples / self._divisor()

    def is_empty(self):
        """Whether no device has a sample."""
        return self._divisor() == 0

    def _divisor(self, loss=None):
        if callable(self._totals):
            self._totals = self._totals()
        samples, weight = self._totals
        return divisor(loss, samples, weight)


def divisor(loss, samples, weight):
    """What a loss, or `None` for a mean, divides the sum of losses by."""
    divisors: dict[str | None, Any] = {
        "sum": 1.0,
        "mean_with_sample_weight": weight,
    }
    return divisors.get(getattr(loss, "reduction", None), samples)
