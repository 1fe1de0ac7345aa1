from collections.abc import Callable
from collections.abc import Iterable

import keras
import numpy as np

from keras_ff.checks import check_integer
from keras_ff.checks import check_maker
from keras_ff.contributions import Contribution
from keras_ff.layers import GoodnessProjection
from keras_ff.layers import LocalBlock
from keras_ff.models import ForwardOnlyModel
from keras_ff.testing.arrays import difference
from keras_ff.testing.arrays import normal
from keras_ff.testing.arrays import numpy
from keras_ff.testing.battery import demand
from keras_ff.testing.battery import run
from keras_ff.testing.copies import check_config
from keras_ff.testing.copies import loaded
from keras_ff.testing.outputs import ROUND_OFF

CLASSES = 3
SAMPLES = 8


class Statistics:
    """What a contribution is told of an epoch.

    Args:
        losses: the mean loss of every layer.
    """

    def __init__(self, losses):
        self._losses = np.asarray(losses, "float32")

    def mean_loss(self):
        return self._losses

    def loss_scale(self):
        return 1.0

    def interval_accuracy(self):
        n = len(self._losses)
        accuracies = np.linspace(0.2, 0.9, n * n, dtype="float32")
        table = accuracies.reshape(n, n)
        table[np.tril_indices(n, -1)] = np.nan
        return table


class ContributionSubject:
    """A contribution that is checked.

    Args:
        make: function that makes one, or its class.
        num_layers: int, of the layers that it weighs.
    """

    def __init__(self, make, num_layers):
        check_maker(
            "make_contribution", make, "a Contribution", "lambda: Mine(...)"
        )
        check_integer("num_layers", num_layers, minimum=1)
        self._make = make
        self._name = "Contribution"
        self.num_layers = num_layers

    def __str__(self):
        return self._name

    def made(self):
        """A new one."""
        contribution = self._make()
        self._name = f"Contribution {type(contribution).__name__}"
        demand(
            isinstance(contribution, Contribution),
            "what was made is no Contribution",
            repr(contribution),
            "an instance of a subclass of Contribution",
            "derive the class from keras_ff.contributions.Contribution",
        )
        return contribution

    def model(self, contribution):
        """A model of small layers that it weighs."""
        layers = [
            LocalBlock(
                keras.layers.Dense(4, activation="relu", name="dense"),
                GoodnessProjection(CLASSES, name="head"),
                normalization="rms",
            )
            for _ in range(self.num_layers)
        ]
        return ForwardOnlyModel(
            [keras.Input((5,)), *layers], contribution=contribution
        )


def initial_weights(subject) -> None:
    """There is a weight for each layer, however many there are."""
    for number in sorted({1, 2, subject.num_layers, 17}):
        _check_weights(subject.made().initial_weights(number), number)


def _check_weights(found, number, what="`initial_weights`") -> None:
    shape = getattr(found, "shape", None)
    demand(
        isinstance(found, np.ndarray) and shape == (number,),
        f"{what} of {number} layers are no NumPy array of {number} numbers",
        f"{found!r} of type {type(found).__name__}",
        f"an array of shape ({number},)",
        "make it of `num_layers`, or of as many as there are losses",
    )
    demand(
        np.all(np.isfinite(found)),
        f"{what} of {number} layers are not all numbers",
        found,
        "numbers",
        "look for divisions by 0 and exponentials of large numbers",
    )


def source(subject) -> None:
    """What it learns from is named, if it learns."""
    contribution = subject.made()
    demand(
        contribution.source in (None, "training", "validation"),
        "`source` is nothing that can be measured on",
        repr(contribution.source),
        "None, 'training' or 'validation'",
        "set it in the class or in the constructor",
    )
    learns = type(contribution).update is not Contribution.update
    demand(
        learns == (contribution.source is not None),
        "`update` would never be called, or is not there",
        f"source={contribution.source!r} and "
        f"{'an' if learns else 'no'} `update`",
        "both or none",
        "set `source` to 'training' or 'validation' where weights learn, and "
        "write `update(statistics)`",
    )
    demand(
        contribution.source is not None or not contribution.measures_intervals,
        "intervals are measured on nothing",
        "measures_intervals=True and source=None",
        "a source",
        "set `source` to 'training' or 'validation'",
    )


def update(subject) -> bool:
    """New weights are numbers, from the statistics of an epoch alone."""
    contribution, other = subject.made(), subject.made()
    if contribution.source is None:
        return False
    number = subject.num_layers
    rows = {
        "falling": np.linspace(2.3, 0.7, number),
        "equal": np.full(number, 2.3),
        "zero": np.zeros(number),
        "large": 1e4 + np.arange(number),
    }
    for what, losses in rows.items():
        statistics = Statistics(losses)
        found = contribution.update(statistics)
        _check_weights(found, number, f"`update` at {what} losses: weights")
        demand(
            np.array_equal(statistics.mean_loss(), losses.astype("float32")),
            "`update` changes the statistics, which others read",
            statistics.mean_loss(),
            losses,
            "work on a copy, not in place",
        )
    again = other.update(Statistics(losses))
    demand(
        difference(again, found) == 0,
        "`update` depends on what was told before, which files do not keep",
        again,
        f"{found}, as after other epochs",
        "compute the weights from `statistics` alone",
    )
    return True


def serialization(subject) -> None:
    """The config makes the same contribution again."""
    contribution = subject.made()
    again = check_config(contribution)
    for name in ("source", "measures_intervals"):
        before, after = getattr(contribution, name), getattr(again, name)
        demand(
            before == after,
            f"a copy made from the config has another `{name}`",
            repr(after),
            repr(before),
            "return what decides about it from `get_config`",
        )


def training(subject) -> None:
    """`fit` updates the weights of one model, `predict` uses them.

    `evaluate` and `predict` leave them as they are, and files keep them.
    """
    contribution = subject.made()
    model = subject.model(contribution)
    other = subject.model(contribution)
    before = model.contribution.weights
    _check_same(
        before,
        subject.made().initial_weights(subject.num_layers),
        "a new model has other weights than `initial_weights`",
        "let `initial_weights` depend on `num_layers` alone",
    )
    model.compile(
        keras.optimizers.SGD(0.1),
        run_eagerly=keras.config.backend() == "tensorflow",
    )
    x, y = normal((SAMPLES, 5), seed=1), np.arange(SAMPLES) % CLASSES
    data = x, y
    model.fit(*data, epochs=1, verbose=0, validation_data=data)
    weights = model.contribution.weights
    _check_weights(weights, subject.num_layers, "weights after an epoch")
    if contribution.source is None:
        _check_same(
            weights,
            before,
            "weights that do not learn changed in `fit`",
            "set `source`",
        )
    _check_same(
        other.contribution.weights,
        before,
        "training one model changes the weights of another",
        "keep nothing in the contribution: `get_config` and `source` are all "
        "that it has",
    )
    goodness = model.goodness(x)
    expected = np.einsum("l,nlk->nk", weights, goodness)
    off = difference(model.predict(x, verbose=0), expected)
    demand(
        off <= ROUND_OFF,
        "`predict` is not the weighted sum of the layers' goodness",
        f"a difference of {off:.2g}",
        f"at most {ROUND_OFF}",
        "let `weights` be the property of the base class",
    )
    _check_same(
        model.contribution.weights,
        weights,
        "`predict` changes weights",
        "change them in `update` only",
    )
    _check_same(
        loaded(model).contribution.weights,
        weights,
        "a file loses the weights",
        "let `get_config` return what the constructor was given, no more",
    )


def _check_same(found, expected, wrong, mend) -> None:
    off = difference(found, expected)
    demand(off <= 1e-6, wrong, numpy(found), numpy(expected), mend)


CHECKS = [initial_weights, source, update, serialization, training]


def check_contribution(
    make_contribution: Callable,
    num_layers: int = 3,
    skip: Iterable[str] = (),
) -> list[str]:
    """Checks that a contribution may weigh the layers of any model.

    It takes under a second of a processor on PyTorch, and one to three on
    TensorFlow and JAX. The checks, in their order:

    - `initial_weights`: a weight for each layer, however many there are;
    - `source`: what it learns from is named, if it learns;
    - `update`: new weights are finite, and depend on the statistics of the
      epoch alone;
    - `serialization`: the config has every argument and makes the same
      contribution;
    - `training`: `fit` updates the weights of one model and no other,
      `predict` uses and keeps them, and so do files.

    Args:
        make_contribution: function without arguments that makes a new
            `keras_ff.contributions.Contribution`, or its class.
        num_layers: int, of how many layers the weights are updated. Defaults
            to `3`.
        skip: names of checks that are left out. Defaults to none.

    Returns:
        List of strings, the checks that were made; `update` only where there
        is one.

    Raises:
        CheckFailure: as in `check_local_layer`.
        TypeError: if `make_contribution` makes nothing, or `num_layers` is
            no int.
        ValueError: if `skip` names no check, or there are no layers.

    Example:

    ```python
    keras_ff.testing.check_contribution(keras_ff.contributions.LossAware)
    ```
    """
    subject = ContributionSubject(make_contribution, num_layers)
    return run(CHECKS, subject, skip)
