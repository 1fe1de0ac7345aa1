"""The small models and data that the model tests share."""

import keras
import numpy as np

from keras_ff import layers
from keras_ff.contributions import Contribution
from keras_ff.models import ForwardOnlyModel

CLASSES = 3
FEATURES = 5


def data(size=24, shape=(FEATURES,), seed=0):
    """Samples around one center a class; some learning is possible."""
    rng = np.random.default_rng(seed)
    centers = np.random.default_rng(99).normal(size=(CLASSES, *shape))
    y = rng.integers(0, CLASSES, size)
    x = centers[y] + 0.7 * rng.normal(size=(size, *shape))
    return x.astype("float32"), y


def dense_block(
    name,
    units=6,
    dropout=0.0,
    kernel_regularizer=None,
    activity_regularizer=None,
    **kwargs,
):
    parts = [
        keras.layers.Dense(
            units,
            activation="relu",
            kernel_regularizer=kernel_regularizer,
            activity_regularizer=activity_regularizer,
        )
    ]
    if dropout:
        parts.append(keras.layers.Dropout(dropout))
    return layers.LocalBlock(
        parts, layers.GoodnessProjection(CLASSES), name=name, **kwargs
    )


def dense_model(num_layers=2, dropout=0.0, **options):
    """Local dense layers, 'local_0', 'local_1' and so on."""
    return ForwardOnlyModel(
        [
            keras.Input((FEATURES,)),
            *[
                dense_block(f"local_{i}", dropout=dropout, normalization="rms")
                for i in range(num_layers)
            ],
        ],
        **options,
    )


def caw_dense(name, **kwargs):
    """A `CAWDense` whose kernel has a gradient from the first step on."""
    noise = keras.initializers.RandomNormal(0.5, 0.5, seed=5)
    arguments = dict(temperature=2.0, assignment_initializer=noise, name=name)
    return layers.CAWDense(6, CLASSES, **{**arguments, **kwargs})


def rich_model(**options):
    """Dropout, batch normalization, an assignment and epoch state.

    The dropout has a seed: PyTorch's draws from its global generator without.
    """
    return ForwardOnlyModel(
        [
            keras.Input((FEATURES,)),
            layers.LocalBlock(
                [
                    keras.layers.Dense(6, use_bias=False),
                    keras.layers.BatchNormalization(),
                    keras.layers.ReLU(),
                    keras.layers.Dropout(0.3, seed=8),
                ],
                layers.GoodnessProjection(CLASSES),
                name="local_0",
            ),
            caw_dense("local_1", dropout=0.0),
        ],
        **options,
    )


def numpy(tensor):
    return np.array(keras.ops.convert_to_numpy(tensor))


def state(model):
    """All numbers of a model: weights, statistics and random generators."""
    return [numpy(v) for v in model.variables]


def optimizer_state(model):
    return [numpy(v) for v in model.optimizer.variables]


def copy_state(source, target):
    restore(target, state(source))


def restore(model, numbers):
    """Gives a model the numbers that `state` took from it."""
    assert len(numbers) == len(model.variables)
    for variable, value in zip(model.variables, numbers):
        variable.assign(value)


def twin(model):
    """Another model with the same numbers."""
    copy = keras.models.clone_model(model)
    copy_state(model, copy)
    return copy


def assert_same(actual, expected):
    assert len(actual) == len(expected)
    for a, b in zip(actual, expected):
        np.testing.assert_array_equal(a, b)


def assert_close(actual, expected, rtol=1e-5, atol=1e-6):
    assert len(actual) == len(expected)
    for a, b in zip(actual, expected):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)


def crossentropy(goodness, y, label_smoothing=0.0):
    """Cross-entropy of every sample in NumPy; `goodness` (..., classes)."""
    goodness = np.asarray(goodness, "float64")
    classes = goodness.shape[-1]
    shifted = goodness - goodness.max(axis=-1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    target = np.eye(classes)[np.asarray(y).reshape(-1).astype(int)]
    target = (1 - label_smoothing) * target + label_smoothing / classes
    return -(target * log_p).sum(axis=-1)


def layer_losses(goodness, y, label_smoothing=0.0):
    """Mean loss of each layer; `goodness` (samples, layers, classes)."""
    goodness = np.moveaxis(np.asarray(goodness), 1, 0)
    return crossentropy(goodness, y, label_smoothing).mean(axis=-1)


def accuracy(prediction, y):
    return np.mean(np.argmax(prediction, axis=-1) == np.asarray(y).reshape(-1))


@keras.saving.register_keras_serializable(package="keras_ff_tests")
class Weights(Contribution):
    """Weights that stay as they are given."""

    def __init__(self, weights):
        self.given = weights

    def initial_weights(self, num_layers):
        return np.resize(self.given, num_layers).astype("float32")

    def get_config(self):
        return {"weights": self.given}


def branched_model(weights):
    """Sums and concatenations over several local layers.

    The input and two sets of features are alive at once; goodness comes in
    another order than the layers; the features of 'last' and 'side' end
    there.
    """
    inputs = keras.Input((FEATURES,))
    a, goodness_a = dense_block("a")(inputs)
    _, goodness_side = dense_block("side")(a)
    b, goodness_b = dense_block("b", normalization="rms")(a)
    c, goodness_c = dense_block("c")(keras.layers.Add()([a, b]))
    x = keras.layers.Concatenate()([inputs, keras.layers.Add()([a, c]), b])
    _, goodness_last = caw_dense("last", dropout=0.2)(x)
    return ForwardOnlyModel(
        inputs,
        [goodness_c, goodness_a, goodness_last, goodness_side, goodness_b],
        contribution=Weights(weights),
    )
