"""Steps of gradient descent, whose changes of weights are gradients."""

import warnings
from typing import NamedTuple

import keras
import numpy as np

from keras_ff.losses import LocalCrossentropy
from keras_ff.models import ForwardOnlyModel
from keras_ff.testing.arrays import change
from keras_ff.testing.arrays import restore
from keras_ff.testing.arrays import state
from keras_ff.testing.scale import Scale

RATE = 0.1


class Step(NamedTuple):
    """A local step, and one of plain automatic differentiation.

    Attributes:
        before: the numbers of the layer before it.
        local: after a step of a `ForwardOnlyModel`.
        plain: after a step of an ordinary `keras.Model`.
        scale: how far weights in front of the layer moved in the latter.
    """

    before: list
    local: list
    plain: list
    scale: float


def compiled(model, rate=RATE, loss=None, **options):
    """A model that descends the gradients of its losses."""
    # TensorFlow's graph of a model takes longer than all of its steps here.
    eager = keras.config.backend() == "tensorflow"
    model.compile(
        keras.optimizers.SGD(rate),
        LocalCrossentropy() if loss is None else loss,
        run_eagerly=eager,
        **options,
    )
    return model


def local_model(subject) -> ForwardOnlyModel:
    """One local layer, trained as users train it: in a graph."""
    model = ForwardOnlyModel([subject.inputs(), subject.made()])
    model.compile(keras.optimizers.SGD(RATE), LocalCrossentropy())
    return model


def plain_model(subject, layer, reads="gf"):
    """An ordinary model around a local layer, with losses before and after.

    Args:
        subject: whose layer it is.
        layer: the layer.
        reads: string, what has a loss: `"g"`, the goodness, `"f"`, what a
            plain layer reads out of the features, or both.
    """
    x = inputs = subject.inputs()
    if subject.has_gradient:
        x = Scale(name="in_front", dtype="float32")(x)
    features, goodness = layer(x)
    read = keras.layers.Flatten()(features)
    read = keras.layers.Dense(subject.num_classes, dtype="float32")(read)
    outputs = [{"g": goodness, "f": read}[each] for each in reads]
    return compiled(keras.Model(inputs, outputs))


def train(model, x, y, weights, seed=0) -> None:
    """One step."""
    # Where a backend draws from a generator of its own.
    keras.utils.set_random_seed(seed)
    number = len(model.outputs)
    if not isinstance(model, ForwardOnlyModel) and number > 1:
        y, weights = [y] * number, [weights] * number
    with warnings.catch_warnings():
        # Of weights that no loss reaches: that is what is looked for.
        warnings.filterwarnings("ignore", message="Gradients do not exist")
        model.train_on_batch(x, y, weights)


def moved(model) -> float:
    """How far the weights in front have moved."""
    if not _in_front(model):
        return 0.0
    (scale,) = _in_front(model)
    found = np.abs(keras.ops.convert_to_numpy(scale) - 1).max()
    return float(np.inf if np.isnan(found) else found)


def _in_front(model):
    return [layer.scale for layer in model.layers if isinstance(layer, Scale)]


def take_steps(subject, local, layer, plain) -> list[Step]:
    """Two steps of both models, each from the same numbers.

    The first is from the numbers that the layer starts with. There weights
    may have no gradient yet; the second is from others.
    """
    (learner,) = local.local_layers
    steps = []
    for seed in range(2):
        before = state(learner)
        restore(layer, before)
        batch = subject.x, subject.y, subject.weights
        train(plain, *batch, seed)
        train(local, *batch, seed)
        scale = moved(plain)
        steps.append(Step(before, state(learner), state(layer), scale))
        for weights in _in_front(plain):
            weights.assign(np.ones(weights.shape))
        change(learner)
    return steps


def gap(variables, found, expected, before) -> str:
    """Where the numbers after two steps differ, or an empty string.

    Args:
        variables: whose numbers they are.
        found, expected: lists of their numbers after the steps.
        before: list of their numbers before both.
    """
    rows = [
        (variable.path, a, b, old, np.abs(b - old).max(initial=0.0))
        for variable, a, b, old in zip(variables, found, expected, before)
        if old.dtype.kind == "f"
    ]
    largest = max((step for *_, step in rows), default=0.0)
    for path, a, b, old, step in rows:
        off = np.abs(a - b).max(initial=0.0)
        size = max(1.0, np.abs(old).max(initial=0.0))
        if not off <= 1e-3 * step + 1e-4 * largest + 4e-7 * size:
            return f"{path} differs by {off:.2g}, of a step of {step:.2g}"
    return ""
