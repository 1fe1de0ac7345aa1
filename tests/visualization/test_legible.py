"""No text lies on another, with few classes and layers and with many."""

import keras
import numpy as np
import pytest
from visualization.overlaps import overlaps

import keras_ff
from keras_ff import visualization

pytestmark = pytest.mark.only_on("torch")

RNG = np.random.default_rng(0)


def shares(channels, classes):
    rows = np.exp(2 * RNG.normal(size=(channels, classes)))
    return rows / rows.sum(axis=1, keepdims=True)


def layer_names(count):
    return ["caw_conv2d", *[f"caw_conv2d_{i}" for i in range(1, count)]]


def long_names(classes):
    return [f"some animal {i}" for i in range(classes)]


def activation(channels, classes, names=None):
    noise = keras.initializers.RandomNormal(0.5, 20.0, seed=3)
    model = keras_ff.models.ForwardOnlyModel(
        [
            keras.Input((6,)),
            keras_ff.layers.CAWDense(
                channels, classes, assignment_initializer=noise
            ),
        ]
    )
    return visualization.class_activation(
        model, model.local_layers[0], RNG.random(6), names
    )


def depth(layers):
    return visualization.depth_accuracy(
        RNG.normal(size=(50, layers, 10)),
        np.ones(layers),
        RNG.integers(0, 10, 50),
        layer_names(layers),
    )


def over_epochs(layers):
    keys = [
        f"{n}_{k}" for n in layer_names(layers) for k in ("accuracy", "loss")
    ]
    return visualization.layer_accuracy_over_epochs(
        {key: RNG.random(5) for key in [*keys, "accuracy"]}
    )


def contributions(layers):
    weights = RNG.random((5, layers))
    return visualization.contributions(weights, layer_names(layers))


PICTURES = {
    "assignment": lambda n: visualization.assignment(shares(8 * n, n)),
    "assignment, names": lambda n: visualization.assignment(
        shares(8 * n, n), class_names=long_names(n)
    ),
    "similarity": lambda n: visualization.prototype_similarity(
        RNG.normal(size=(n, 2, 5)), long_names(n)
    ),
    "prototypes": lambda n: visualization.prototypes(
        RNG.normal(size=(n, 2, 5)), class_names=long_names(n)
    ),
    "activation": lambda n: activation(8 * n, n),
    "activation, names": lambda n: activation(8 * n, n, long_names(n)),
    "specialization": lambda n: visualization.specialization(
        [shares(20, 10)] * n, layer_names(n)
    ),
    "depth": depth,
    "exits": lambda n: visualization.early_exits(
        RNG.integers(1, n + 1, 50), layer_names(n)
    ),
    "layer accuracy": lambda n: visualization.layer_accuracy(
        layer_names(n), RNG.random(n), 0.9, 0.91
    ),
    "over epochs": over_epochs,
    "contributions": contributions,
}


@pytest.mark.parametrize("count", [10, 100])
@pytest.mark.parametrize("picture", PICTURES)
def test_no_text_lies_on_another(picture, count):
    ax = PICTURES[picture](count)
    assert overlaps(ax) == []
    sizes = [t.get_fontsize() for t in [*ax.texts, *ax.get_xticklabels()]]
    assert min(sizes) >= 11
