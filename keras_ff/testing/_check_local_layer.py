from collections.abc import Callable
from collections.abc import Iterable

from keras_ff.testing.arrays import normal
from keras_ff.testing.battery import run
from keras_ff.testing.copies import copies
from keras_ff.testing.copies import serialization
from keras_ff.testing.local_gradients import LocalSubject
from keras_ff.testing.local_gradients import batch_of_one
from keras_ff.testing.local_gradients import frozen
from keras_ff.testing.local_gradients import local_step
from keras_ff.testing.local_gradients import locality
from keras_ff.testing.local_gradients import mixed_precision_step
from keras_ff.testing.local_gradients import predictions
from keras_ff.testing.local_gradients import sample_weights
from keras_ff.testing.outputs import masks
from keras_ff.testing.outputs import outputs
from keras_ff.testing.outputs import precision
from keras_ff.testing.outputs import samples
from keras_ff.testing.outputs import unknown_sizes
from keras_ff.testing.subject import construction

CHECKS = [
    construction,
    outputs,
    samples,
    unknown_sizes,
    masks,
    precision,
    serialization,
    copies,
    frozen,
    locality,
    local_step,
    sample_weights,
    batch_of_one,
    mixed_precision_step,
    predictions,
]


def check_local_layer(
    make_layer: Callable,
    input_shape: tuple,
    num_classes: int,
    skip: Iterable[str] = (),
    make_inputs: Callable = normal,
) -> list[str]:
    """Checks that a local layer keeps what local layers promise.

    It is trained for a few steps of plain gradient descent beside an ordinary
    `keras.Model`, on random inputs, and copied, saved and called in all ways
    that its users may. A layer of a few units takes one second of a processor
    on PyTorch, and three to six on TensorFlow and JAX, which compile. The
    checks, in their order:

    - `construction`: every call makes a new layer with parts of its own;
    - `outputs`: shapes and dtypes are as announced, goodness is float32;
    - `samples`: without training, outputs depend on their own sample only;
    - `unknown_sizes`: sizes that are not known yet are taken, or refused by a
      `ValueError`;
    - `masks`: what a mask of steps hides changes no goodness, or masks are
      refused by a `ValueError`;
    - `precision`: under mixed precision outputs stay close to float32;
    - `serialization`: the config has every argument and makes the same layer;
    - `copies`: clones, copies and files have the same weights, names and
      outputs, and what was frozen stays so;
    - `frozen`: a frozen layer has no weights that train;
    - `locality`: no gradient enters or leaves the layer;
    - `local_step`: a training step is the gradient of the layer's own loss,
      with sample weights, regularizers and dropout, and reaches every weight;
    - `sample_weights`: samples of weight zero change nothing. Layers with
      Keras's `BatchNormalization` are not asked;
    - `batch_of_one`: it trains on a single sample;
    - `mixed_precision_step`: gradients in float16 are those of float32;
    - `predictions`: `predict` and `goodness` of a model give what it gives.

    Random generators are seeded on the way.

    Args:
        make_layer: function without arguments that makes a new
            `keras_ff.layers.LocalLayer`, or its class. Small layers are
            checked sooner.
        input_shape: tuple of ints, the shape of one sample.
        num_classes: int, the number of classes that the layer scores.
        skip: names of checks that are left out, for what a layer is not meant
            to do. Defaults to none.
        make_inputs: function `(shape, seed) -> array` that draws samples:
            integers, for layers that look them up. Defaults to random normal
            numbers.

    Returns:
        List of strings, the checks that were made. Some do not apply to every
        layer, or the layer refused what they are about.

    Raises:
        CheckFailure: an `AssertionError` that says which check the layer
            fails, what was found and expected, and how to mend it. What the
            layer raises by itself is its cause.
        TypeError: if `make_layer` makes nothing, or a size is no int.
        ValueError: if `skip` names no check, or `make_inputs` gives no
            numbers of the shape.

    Example:

    ```python
    def make_layer():
        return keras_ff.layers.LocalBlock(
            keras.layers.Dense(8, activation="relu", name="dense"),
            goodness=keras_ff.layers.GoodnessProjection(3, name="head"),
        )


    def test_my_layer():
        keras_ff.testing.check_local_layer(make_layer, (5,), 3)
    ```

    Seven words of a vocabulary of twenty:

    ```python
    def words(shape, seed):
        return np.random.default_rng(seed).integers(1, 20, shape)


    keras_ff.testing.check_local_layer(make_layer, (7,), 3, make_inputs=words)
    ```

    Reference:

    - [scikit-learn's `check_estimator`](https://scikit-learn.org/stable/modules/generated/sklearn.utils.estimator_checks.check_estimator.html)
    """
    subject = LocalSubject(make_layer, input_shape, num_classes, make_inputs)
    return run(CHECKS, subject, skip)
