"""How a local layer learns: from its own loss, and nothing else."""

import functools

import keras
import numpy as np

from keras_ff.keras_private import all_layers
from keras_ff.layers import LocalLayer
from keras_ff.testing.arrays import BATCH
from keras_ff.testing.arrays import difference
from keras_ff.testing.arrays import numpy
from keras_ff.testing.arrays import restore
from keras_ff.testing.arrays import state
from keras_ff.testing.battery import demand
from keras_ff.testing.battery import policy
from keras_ff.testing.not_training import NotTraining
from keras_ff.testing.outputs import ROUND_OFF
from keras_ff.testing.steps import gap
from keras_ff.testing.steps import local_model
from keras_ff.testing.steps import moved
from keras_ff.testing.steps import plain_model
from keras_ff.testing.steps import take_steps
from keras_ff.testing.steps import train
from keras_ff.testing.subject import Subject


class LocalSubject(Subject):
    """A local layer that is checked, and models of it that checks share.

    Args:
        make, input_shape, num_classes, make_inputs: see `Subject`.
    """

    def __init__(self, make, input_shape, num_classes, make_inputs):
        super().__init__(
            make, LocalLayer, input_shape, num_classes, make_inputs
        )
        self.y = np.arange(BATCH) % self.num_classes
        # The last two count for nothing.
        self.weights = np.array([1, 0.5, 2, 1.5, 0, 0], "float32")

    @functools.cached_property
    def local(self):
        """A `ForwardOnlyModel` of one layer; after `steps` it has learned."""
        return local_model(self)

    @functools.cached_property
    def layer(self):
        """The layer of `plain`."""
        return self.made()

    @functools.cached_property
    def plain(self):
        """An ordinary model around a layer."""
        return plain_model(self, self.layer)

    @functools.cached_property
    def steps(self):
        """Local steps beside steps of plain automatic differentiation."""
        return take_steps(self, self.local, self.layer, self.plain)

    @property
    def learner(self):
        """The layer of `local`."""
        return self.local.local_layers[0]


def locality(subject) -> None:
    """No gradient enters or leaves the layer."""
    if not any(_differs(subject, step) for step in subject.steps):
        return
    for step in subject.steps:
        layer = subject.made()
        model = plain_model(subject, layer, "f")
        # Without weights only regularizers have a loss.
        after = []
        for weights in (0 * subject.weights, subject.weights):
            restore(layer, step.before)
            train(model, subject.x, subject.y, weights)
            after.append(state(layer))
        leaked = [
            variable.path
            for variable, without, new in zip(layer.variables, *after)
            if variable.trainable and not np.array_equal(without, new)
        ]
        demand(
            not moved(model) and not leaked,
            "a loss that is computed from the features changes weights of "
            "the layer or before it",
            f"a step of {moved(model):.2g} in front of the layer, and steps "
            f"of its own weights {leaked}",
            "no step",
            "leave `call` to the base class, or return "
            "`ops.stop_gradient(activation)` as features unless "
            "`keep_gradient` is true",
        )
    demand(
        not any(step.scale for step in subject.steps),
        "the loss of the goodness changes weights in front of the layer",
        f"a step of {max(step.scale for step in subject.steps):.2g}",
        "no step",
        "leave `call` and `activate` to the base class, or put "
        "`ops.stop_gradient` around the inputs",
    )


def _differs(subject, step):
    found = gap(subject.learner.variables, step.local, step.plain, step.before)
    return bool(step.scale or found)


def local_step(subject) -> None:
    """A training step is the gradient of the layer's own loss.

    That of plain automatic differentiation, with sample weights, losses of
    regularizers and random numbers.
    """
    learner = subject.learner
    for step in subject.steps:
        found = gap(learner.variables, step.local, step.plain, step.before)
        demand(
            not found,
            "a step in a ForwardOnlyModel is not that of plain automatic "
            "differentiation",
            found,
            "the same numbers",
            "let `call` depend on its arguments and on variables of Keras "
            "only, and draw random numbers from a "
            "`keras.random.SeedGenerator` of the layer",
        )
    still = [
        variable.path
        for i, variable in enumerate(learner.variables)
        if variable.trainable
        and all(np.array_equal(s.before[i], s.local[i]) for s in subject.steps)
    ]
    demand(
        not still,
        "trainable weights do not learn",
        f"no step of {still}",
        "a step of every trainable weight",
        "use them in the goodness, without `ops.stop_gradient` or rounding "
        "on the way, or make them with `trainable=False`",
    )


def sample_weights(subject) -> bool:
    """A sample of weight zero, such as padding, changes nothing.

    Layers with Keras's BatchNormalization are not asked: its statistics know
    no weights.
    """
    learner = subject.learner
    if any(
        isinstance(part, keras.layers.BatchNormalization)
        for part in all_layers(learner)
    ):
        return False
    before = subject.steps[-1].before
    found = []
    for seed in (2, 3):
        x, nothing = subject.x.copy(), subject.weights == 0
        x[nothing] = subject.draw(nothing.sum(), seed)
        restore(learner, before)
        train(subject.local, x, subject.y, subject.weights)
        found.append(state(learner))
    first, second = found
    wrong = gap(learner.variables, first, second, before)
    demand(
        not wrong,
        "samples of weight zero change what is learned from the others",
        wrong,
        "the same step whatever they are",
        "compute nothing from several samples of a batch; if that is meant, "
        "call the check with skip=['sample_weights']",
    )
    return True


def batch_of_one(subject) -> None:
    """The layer trains on a single sample."""
    restore(subject.layer, subject.steps[-1].before)
    train(subject.plain, subject.x[:1], subject.y[:1], subject.weights[:1])
    broken = [
        variable.path
        for variable, numbers in zip(
            subject.layer.variables, state(subject.layer)
        )
        if not np.all(np.isfinite(numbers))
    ]
    demand(
        not broken,
        "training on a batch of one sample breaks weights",
        f"NaN or infinity in {broken}",
        "numbers",
        "add a small number to what is divided by, and under roots: the "
        "spread of one sample is 0, where a root has no gradient",
    )


def mixed_precision_step(subject) -> None:
    """Gradients in float16 are those of float32, but for rounding."""
    start = subject.steps[-1].before
    found = []
    for name in ("float32", "mixed_float16"):
        with policy(name):
            layer = subject.made()
            # Other precisions draw other random numbers.
            model = plain_model(subject, NotTraining(layer), "g")
        restore(layer, start)
        found.append(_first_step(subject, layer, model, start))
    largest = max((np.linalg.norm(step) for step in found[0]), default=0.0)
    for variable, exact, step in zip(layer.trainable_variables, *found):
        off = np.linalg.norm(step - exact)
        # Rounding may make two numbers of a map the joint maximum.
        allowed = 0.2 * np.linalg.norm(exact) + 0.02 * largest
        demand(
            off <= allowed,
            f"under mixed_float16 the step of {variable.path} is another",
            f"a difference of {off:.2g} to that in float32",
            f"at most {allowed:.2g}",
            "compute what may be below 6e-5 or above 65504, such as squares "
            "and exponentials, in `ops.cast(x, 'float32')`",
        )


def _first_step(subject, layer, model, start):
    """The first step that is not left out because a number overflows."""
    for _ in range(20):
        train(model, subject.x, subject.y, subject.weights)
        step = [
            numpy(variable) - old
            for variable, old in zip(layer.variables, start)
            if variable.trainable
        ]
        if any(np.any(each) for each in step):
            break
    return step


def predictions(subject) -> None:
    """`predict` and `goodness` of a model give what the layer gives."""
    restore(subject.learner, subject.steps[-1].before)
    x, size = subject.x, BATCH // 2
    expected = numpy(subject.learner(x)[1])
    for name, found in (
        ("goodness", subject.local.goodness(x, batch_size=size)[:, 0]),
        ("predict", subject.local.predict(x, batch_size=size, verbose=0)),
    ):
        off = difference(found, expected)
        demand(
            off <= ROUND_OFF,
            f"`{name}` of a ForwardOnlyModel is not the layer's goodness",
            f"a difference of {off:.2g}",
            f"at most {ROUND_OFF}",
            "let `call` use operations of `keras.ops` only, and no Python "
            "that depends on numbers of a tensor: it becomes a graph",
        )


def frozen(subject) -> None:
    """A frozen layer has no weights that train."""
    layer = subject.built()
    layer.trainable = False
    left = [variable.path for variable in layer.trainable_variables]
    demand(
        not left,
        "weights of a frozen layer train",
        f"{left} after `layer.trainable = False`",
        "none",
        "keep parts as attributes or in lists of the layer, where Keras "
        "finds them",
    )
