"""Averages of maps whose channels have mean zero."""

import keras
import numpy as np
import pytest
from reference.arrays import normal
from reference.arrays import numpy

from keras_ff import layers
from keras_ff.models import ForwardOnlyModel

X = normal((4, 6, 6, 2), 1)


def conv(normalization="instance", **kwargs):
    return layers.CAWConv2D(6, 3, 3, normalization=normalization, **kwargs)


def block(*parts):
    return layers.LocalBlock([*parts], layers.GoodnessProjection(3))


def pool():
    return keras.layers.GlobalAveragePooling2D(name="pool")


def flatten():
    return keras.layers.Flatten()


def sequence():
    return keras.Sequential(
        [keras.Input((4, 4, 6)), keras.layers.Dropout(0.1), pool()]
    )


def nested(last):
    inputs = keras.Input((4, 4, 6))
    x = keras.layers.ZeroPadding2D(1)(inputs)
    return keras.Model(inputs, last(x))


def windows(size, **kwargs):
    return keras.layers.AveragePooling2D(size, name="pool", **kwargs)


def chain(*between):
    """What reaches the second local layer, and how the model is made."""
    inputs = keras.Input((6, 6, 2))
    x, first = between[0](inputs)
    for layer in between[1:]:
        x = layer(x)
    _, second = layers.CAWDense(6, 3)(x)
    return keras.Model(inputs, x), inputs, [first, second]


CHAINS = {
    "at once": (lambda: [conv(), pool()], True),
    "one channel a group": (
        lambda: [layers.CWConv2D(3, 3, 3, dropout=0.0), pool()],
        True,
    ),
    "by way of padding": (
        lambda: [conv(), keras.layers.ZeroPadding2D(1), pool()],
        True,
    ),
    "one window": (lambda: [conv(), windows(4), flatten()], True),
    "one window, padded": (
        lambda: [conv(), windows(4, padding="same"), flatten()],
        True,
    ),
    "one cell": (
        lambda: [
            conv(),
            keras.layers.AdaptiveAveragePooling2D(1, name="pool"),
            flatten(),
        ],
        True,
    ),
    "in a sequence": (lambda: [conv(), sequence()], True),
    "in a model": (lambda: [conv(), nested(pool())], True),
    "in a model that rectifies": (
        lambda: [conv(), nested(keras.layers.ReLU()), pool()],
        False,
    ),
    "windows": (lambda: [conv(), windows(2), flatten()], False),
    "one window of a part": (lambda: [conv(), windows(3), flatten()], False),
    "layer normalization": (lambda: [conv("layer"), pool()], False),
    "groups of channels": (lambda: [conv("group"), pool()], False),
    "none": (lambda: [conv(None), pool()], False),
    "one pixel": (lambda: [conv(strides=6), pool()], False),
    "rectified": (lambda: [conv(), keras.layers.ReLU(), pool()], False),
    "maximum": (lambda: [conv(), keras.layers.GlobalMaxPooling2D()], False),
}


@pytest.mark.parametrize("name", CHAINS)
def test_refused_where_nothing_is_left(name):
    make, dead = CHAINS[name]
    pooled, inputs, goodness = chain(*make())
    left = np.abs(numpy(pooled(X))).max()
    assert left < 1e-5 if dead else left > 1e-2
    if dead:
        with pytest.raises(ValueError, match="'pool' averages.*normalization"):
            ForwardOnlyModel(inputs, goodness)
    else:
        ForwardOnlyModel(inputs, goodness)


def test_refused_inside_a_block():
    with pytest.raises(ValueError, match="'pool' averages the map.*'caw'"):
        ForwardOnlyModel(
            [
                keras.Input((6, 6, 2)),
                conv(name="caw"),
                block(pool(), keras.layers.Dense(4)),
            ]
        )


def test_a_sum_with_a_map_of_another_mean():
    inputs = keras.Input((6, 6, 2))
    x, first = conv(padding="same")(inputs)
    y, second = conv(None, padding="same")(x)
    x = keras.layers.Add()([x, y])
    _, third = layers.CAWDense(6, 3)(pool()(x))
    ForwardOnlyModel(inputs, [first, second, third])
