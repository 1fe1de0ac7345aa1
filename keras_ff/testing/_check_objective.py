from collections.abc import Callable
from collections.abc import Iterable

import keras
import numpy as np

from keras_ff.layers import GoodnessProjection
from keras_ff.layers import LocalBlock
from keras_ff.losses import LocalCrossentropy
from keras_ff.models import ForwardOnlyModel
from keras_ff.objectives import LocalObjective
from keras_ff.testing.arrays import BATCH
from keras_ff.testing.arrays import PRECISION
from keras_ff.testing.arrays import change
from keras_ff.testing.arrays import difference
from keras_ff.testing.arrays import dtype_of
from keras_ff.testing.arrays import normal
from keras_ff.testing.arrays import numpy
from keras_ff.testing.arrays import restore
from keras_ff.testing.arrays import state
from keras_ff.testing.battery import demand
from keras_ff.testing.battery import policy
from keras_ff.testing.battery import run
from keras_ff.testing.copies import check_config
from keras_ff.testing.copies import check_copies
from keras_ff.testing.outputs import ROUND_OFF
from keras_ff.testing.scale import Scale
from keras_ff.testing.slope import check_slope
from keras_ff.testing.steps import RATE
from keras_ff.testing.steps import compiled
from keras_ff.testing.steps import gap
from keras_ff.testing.subject import Subject
from keras_ff.testing.subject import construction


class ObjectiveSubject(Subject):
    """An objective that is checked, with features, labels and scores for it.

    Args:
        make, input_shape, num_classes: see `Subject`.
    """

    def __init__(self, make, input_shape, num_classes):
        super().__init__(make, LocalObjective, input_shape, num_classes)
        # Some classes occur twice.
        self.y = np.arange(BATCH) // 2 % self.num_classes
        self.rows = np.eye(self.num_classes, dtype="float32")[self.y]
        self.weights = np.array([1, 0.5, 2, 1.5, 0, 0], "float32")
        self.goodness = normal((BATCH, self.num_classes), seed=2)

    def built(self):
        """A new one, built for the features."""
        objective = self.made()
        objective.build((None, *self.input_shape))
        return objective

    def losses(self, objective, x=None, rows=None, weights=None, goodness=None):
        """What an objective gives; arrays that are not given are its own."""
        x = self.x if x is None else x
        rows = self.rows if rows is None else rows
        goodness = self.goodness if goodness is None else goodness
        if weights is None:
            weights = np.ones(len(x), "float32")
        return objective(x, rows, weights, training=False, goodness=goodness)

    def model(self, objective, scale):
        """An ordinary model that descends the objective alone."""
        shapes = [
            self.input_shape,
            (self.num_classes,),
            (),
            (self.num_classes,),
        ]
        inputs = [keras.Input(shape) for shape in shapes]
        x, rows, weights, goodness = inputs
        losses = objective(scale(x), rows, weights, goodness=goodness)
        return compiled(keras.Model(inputs, losses), rate=1.0, loss=_given)

    def step(self, model, x):
        """One step of what `model` made."""
        ones = np.ones(BATCH, "float32")
        batch = [x, self.rows, ones, self.goodness]
        model.train_on_batch(batch, ones)


def _given(y, losses):
    """The loss of losses: what they are."""
    return losses


def losses(subject) -> None:
    """There is a finite loss of every sample, whatever is in the batch."""
    objective = change(subject.built())
    same = np.zeros_like(subject.rows)
    same[:, 0] = 1
    for what, options in {
        "a batch": {},
        "one class": dict(rows=same),
        "soft labels": dict(rows=np.full_like(same, 1 / len(same[0]))),
        "weights of zero only": dict(weights=0 * subject.weights),
        "one sample": dict(
            x=subject.x[:1], rows=same[:1], goodness=subject.goodness[:1]
        ),
    }.items():
        found = subject.losses(objective, **options)
        number = len(options.get("x", subject.x))
        demand(
            tuple(found.shape) == (number,) and dtype_of(found) == "float32",
            f"{what} has no float32 loss of every sample",
            f"{dtype_of(found)} of shape {tuple(found.shape)}",
            f"float32 of shape ({number},)",
            "take the mean over all axes but the first, and leave the dtype "
            "of what `sample_losses` is given",
        )
        demand(
            np.all(np.isfinite(numpy(found))),
            f"{what} has a loss that is no number",
            numpy(found),
            "numbers",
            "add a small number to what is divided by: a class may have one "
            "sample or none",
        )


def sample_weights(subject) -> None:
    """Samples of weight zero, such as padding, change no other's loss."""
    objective = change(subject.built())
    x, rows = subject.x.copy(), subject.rows.copy()
    nothing = subject.weights == 0
    found = []
    for seed in (3, 4):
        x[nothing] = 5 * normal(x[nothing].shape, seed)
        rows[nothing] = np.roll(rows[nothing], 1, axis=-1)
        values = subject.losses(objective, x, rows, subject.weights)
        found.append(numpy(values)[~nothing])
    off = difference(*found)
    demand(
        off <= ROUND_OFF,
        "samples of weight zero change the losses of the others",
        f"a difference of {off:.2g}",
        f"at most {ROUND_OFF}",
        "multiply what is summed over the batch by `present`, and divide by "
        "its sum",
    )


def extremes(subject) -> None:
    """Dead, faint, large and equal features break no weight."""
    objective = change(subject.built())
    scale = Scale(name="in_front")
    model = subject.model(objective, scale)
    start = state(model)
    one = subject.x[:1]
    for what, x in {
        "all zero": 0 * subject.x,
        "faint (1e-30)": np.full_like(subject.x, 1e-30),
        "large (1e4)": 1e4 * subject.x,
        "all alike": np.repeat(one, BATCH, axis=0),
    }.items():
        restore(model, start)
        subject.step(model, x)
        broken = [
            v.path
            for v, numbers in zip(model.variables, state(model))
            if not np.all(np.isfinite(numbers))
        ]
        demand(
            not broken,
            f"features that are {what} have no gradient",
            f"NaN or infinity in the step of {broken}",
            "numbers",
            "add a small number under roots, and to what is divided by: "
            "`ops.where` after a division hides NaN from the loss, not from "
            "its gradient",
        )


def gradient(subject) -> None:
    """The loss reaches the features and every weight of the objective."""
    objective = subject.built()
    model = subject.model(objective, Scale(name="in_front"))

    def loss(factor):
        x = (subject.x * factor).astype("float32")
        return keras.ops.mean(subject.losses(objective, x))

    batch = [subject.x, subject.rows, 1 + 0 * subject.weights, subject.goodness]
    first, second = (model(batch, training=True) for _ in range(2))
    is_random = bool(keras.ops.any(first != second))
    check_slope(
        model,
        objective,
        lambda: subject.step(model, subject.x),
        None if is_random else loss,
    )


def precision(subject) -> None:
    """Under mixed precision losses stay close to those of float32."""
    exact = change(subject.built())
    for name, spacing in PRECISION.items():
        with policy(name):
            objective = subject.built()
        restore(objective, state(exact))
        half = keras.ops.cast(subject.x, name.removeprefix("mixed_"))
        weights = 70001 * (subject.weights > 0).astype("float32")
        found = subject.losses(objective, half, weights=weights)
        demand(
            dtype_of(found) == "float32",
            f"under {name} losses are less exact than float32",
            dtype_of(found),
            "float32",
            "leave the dtype of what `sample_losses` is given",
        )
        x = numpy(half).astype("float32")
        expected = numpy(subject.losses(exact, x, weights=weights))
        off = np.abs(numpy(found) - expected).max()
        allowed = 32 * spacing * max(np.abs(expected).max(), 1e-3)
        demand(
            off <= allowed,
            f"under {name} losses are far from those in float32",
            f"a difference of {off:.2g}",
            f"at most {allowed:.2g}",
            "compare features in the float32 that `sample_losses` is given",
        )


def serialization(subject) -> None:
    """The config makes the same objective again."""
    check_config(subject.made())


def _block(subject):
    """A local layer that learns the objective beside its goodness."""
    return LocalBlock(
        Scale(name="scale"),
        GoodnessProjection(subject.num_classes, pooling="flatten", name="head"),
        objectives=[subject.made()],
    )


def local_step(subject) -> None:
    """A training step is the gradient of goodness and objective together.

    That of plain automatic differentiation, with sample weights.
    """
    inputs = keras.Input(subject.input_shape)
    local, block = ForwardOnlyModel([inputs, _block(subject)]), _block(subject)
    local.compile(keras.optimizers.SGD(RATE), LocalCrossentropy())
    (learner,) = local.local_layers
    rows = keras.Input((subject.num_classes,))
    weights = keras.Input(())
    features, goodness = block(inputs, keep_gradient=True)
    (objective,) = block.objectives
    found = objective(features, rows, weights, goodness=goodness)
    plain = keras.Model([inputs, rows, weights], [goodness, found])
    compiled(
        plain,
        loss=[LocalCrossentropy(), _given],
        loss_weights=[1.0, objective.weight],
    )
    before = state(change(learner))
    restore(block, before)
    y, given = subject.y, subject.weights
    keras.utils.set_random_seed(0)
    local.train_on_batch(subject.x, y, given)
    keras.utils.set_random_seed(0)
    plain.train_on_batch(
        [subject.x, subject.rows, given], [y, given], [given, given]
    )
    wrong = gap(learner.variables, state(learner), state(block), before)
    demand(
        not wrong,
        "a step in a ForwardOnlyModel is not that of plain automatic "
        "differentiation",
        wrong,
        "the same numbers",
        "let `sample_losses` depend on its arguments and on variables of "
        "Keras only",
    )


def copies(subject) -> None:
    """Clones, copies and files of its layer have the same numbers."""
    block = _block(subject)
    inputs = keras.Input(subject.input_shape)
    check_copies(ForwardOnlyModel([inputs, block]), subject.x, block.objectives)


CHECKS = [
    construction,
    losses,
    sample_weights,
    extremes,
    gradient,
    precision,
    serialization,
    copies,
    local_step,
]


def check_objective(
    make_objective: Callable,
    input_shape: tuple,
    num_classes: int,
    skip: Iterable[str] = (),
) -> list[str]:
    """Checks that a local objective may stand in any local layer.

    It takes a second of a processor on PyTorch, and two to six on TensorFlow
    and JAX. The checks, in their order:

    - `construction`: every call makes a new objective with parts of its own;
    - `losses`: a finite float32 loss of every sample, with one class only,
      soft labels, one sample, or none that counts;
    - `sample_weights`: samples of weight zero change no other's loss;
    - `extremes`: dead, faint, large and equal features have a gradient;
    - `gradient`: the loss reaches the features and every weight of the
      objective, with a gradient that equals differences of the loss;
    - `precision`: under mixed precision losses are float32, close to those
      of float32;
    - `serialization`: the config has every argument and makes the same
      objective;
    - `copies`: clones, copies and files of its layer have the same weights
      and names, and what was frozen stays so;
    - `local_step`: a training step is the gradient of goodness and objective
      together.

    Args:
        make_objective: function without arguments that makes a new
            `keras_ff.objectives.LocalObjective`, or its class.
        input_shape: tuple of ints, the shape of the features of one sample.
        num_classes: int, the number of classes.
        skip: names of checks that are left out. Defaults to none.

    Returns:
        List of strings, the checks that were made.

    Raises:
        CheckFailure: as in `check_local_layer`.
        TypeError: if `make_objective` makes nothing, or a size is no int.
        ValueError: if `skip` names no check.

    Example:

    ```python
    keras_ff.testing.check_objective(
        lambda: keras_ff.objectives.SupervisedContrast(units=4, pooling=2),
        (4, 4, 6),
        3,
    )
    ```
    """
    subject = ObjectiveSubject(make_objective, input_shape, num_classes)
    return run(CHECKS, subject, skip)
