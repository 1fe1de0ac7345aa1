"""How a model weighs its local layers."""

from keras_ff.contributions.contribution import Contribution as Contribution
from keras_ff.contributions.interval import Interval as Interval
from keras_ff.contributions.last import Last as Last
from keras_ff.contributions.loss_aware import LossAware as LossAware
from keras_ff.contributions.skip_first import SkipFirst as SkipFirst
from keras_ff.contributions.uniform import Uniform as Uniform

_BY_NAME = {
    "interval": Interval,
    "last": Last,
    "loss_aware": LossAware,
    "skip_first": SkipFirst,
    "uniform": Uniform,
}


def names() -> list[str]:
    """The names that `get` knows."""
    return list(_BY_NAME)


def get(identifier: str | Contribution) -> Contribution:
    """A contribution by its name, with its defaults, or as it is.

    Args:
        identifier: one of `keras_ff.contributions.names()`, or a
            `Contribution`.

    Returns:
        A `keras_ff.contributions.Contribution`.

    Raises:
        ValueError: if it is neither.
    """
    if isinstance(identifier, Contribution):
        return identifier
    if identifier not in _BY_NAME:
        raise ValueError(
            f"A contribution is one of {names()} or a "
            f"`keras_ff.contributions.Contribution`. Received: {identifier!r}"
        )
    return _BY_NAME[identifier]()
