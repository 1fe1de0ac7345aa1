from collections.abc import Callable
from collections.abc import Iterable

import keras
import numpy as np

from keras_ff.layers import GoodnessHead
from keras_ff.losses import LocalCrossentropy
from keras_ff.testing.arrays import BATCH
from keras_ff.testing.battery import run
from keras_ff.testing.copies import copies
from keras_ff.testing.copies import serialization
from keras_ff.testing.outputs import masks
from keras_ff.testing.outputs import outputs
from keras_ff.testing.outputs import precision
from keras_ff.testing.outputs import samples
from keras_ff.testing.outputs import unknown_sizes
from keras_ff.testing.scale import Scale
from keras_ff.testing.slope import check_slope
from keras_ff.testing.steps import compiled
from keras_ff.testing.steps import train
from keras_ff.testing.subject import Subject
from keras_ff.testing.subject import construction


def gradient(subject: Subject) -> None:
    """A loss of the goodness reaches the activation and every weight."""
    head = subject.made()
    inputs = keras.Input(subject.input_shape)
    goodness = head(Scale(name="in_front")(inputs))
    model = compiled(keras.Model(inputs, goodness), rate=1.0)
    x, y = subject.x, np.arange(BATCH) % subject.num_classes

    def loss(factor):
        x = (subject.x * factor).astype("float32")
        return LocalCrossentropy()(y, head(x))

    first, second = (model(x, training=True) for _ in range(2))
    is_random = bool(keras.ops.any(first != second))
    check_slope(
        model,
        head,
        lambda: train(model, x, y, np.ones(BATCH, "float32")),
        None if is_random else loss,
    )


CHECKS = [
    construction,
    outputs,
    samples,
    unknown_sizes,
    masks,
    precision,
    serialization,
    copies,
    gradient,
]


def check_goodness_head(
    make_head: Callable,
    input_shape: tuple,
    num_classes: int,
    skip: Iterable[str] = (),
) -> list[str]:
    """Checks that a goodness head does what local layers ask of it.

    It takes under a second of a processor on PyTorch, and up to three on
    TensorFlow and JAX. The checks, in their order:

    - `construction`: every call makes a new head with parts of its own;
    - `outputs`: a row of float32 scores a sample, as announced;
    - `samples`: without training, scores depend on their own sample only;
    - `unknown_sizes`: sizes that are not known yet are taken, or refused by a
      `ValueError`;
    - `masks`: what a mask of steps hides changes no score, or masks are
      refused by a `ValueError`;
    - `precision`: under mixed precision scores are float32, close to those
      of float32;
    - `serialization`: the config has every argument and makes the same head;
    - `copies`: clones, copies and files have the same weights, names and
      scores;
    - `gradient`: a loss of the scores reaches the activation and every
      weight, with a gradient that equals differences of the loss.

    Args:
        make_head: function without arguments that makes a new
            `keras_ff.layers.GoodnessHead`.
        input_shape: tuple of ints, the shape of the activation of one sample.
        num_classes: int, the number of classes that it scores.
        skip: names of checks that are left out. Defaults to none.

    Returns:
        List of strings, the checks that were made.

    Raises:
        CheckFailure: as in `check_local_layer`.
        TypeError: if `make_head` makes nothing, or a size is no int.
        ValueError: if `skip` names no check.

    Example:

    ```python
    keras_ff.testing.check_goodness_head(
        lambda: keras_ff.layers.ChannelGroups(3), (4, 4, 6), 3
    )
    ```
    """
    subject = Subject(make_head, GoodnessHead, input_shape, num_classes)
    return run(CHECKS, subject, skip)
