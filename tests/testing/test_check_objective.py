"""Objectives that are broken in one way each, which the check names."""

import keras
import pytest
from broken import failure
from broken import register
from keras import ops

from keras_ff import objectives

CLASSES = 3
once = pytest.mark.only_on("torch")


def objective(function, **members):
    """Makes objectives whose losses are a function."""

    @register
    class Objective(objectives.LocalObjective):
        def sample_losses(self, projection, labels, present):
            return function(projection, labels, present)

    for name, member in members.items():
        setattr(Objective, name, member)
    return Objective


def found(check, function, **members):
    make = objective(function, **members)
    return failure("check_objective", check, make, (5,), CLASSES)


def sizes(x):
    return ops.mean(ops.square(x), axis=-1)


def stopped(x, labels, present):
    return sizes(ops.stop_gradient(x))


def half_stopped(x, labels, present):
    return sizes(x) + sizes(ops.stop_gradient(x))


CALLS = []


def counting(x, labels, present):
    CALLS.append(1)
    return sizes(x) * len(CALLS)


@pytest.mark.parametrize(
    "check, function, text",
    [
        ("gradient", stopped, "has no gradient"),
        ("gradient", half_stopped, "is not the slope"),
        ("local_step", counting, "plain automatic differentiation"),
    ],
)
def test_gradients(check, function, text):
    assert text in found(check, function)


def centers(x, labels, present):
    """`present` is forgotten, and classes without samples."""
    number = ops.sum(labels, axis=0)
    middle = ops.matmul(ops.transpose(labels), x) / number[:, None]
    return sizes(x - ops.matmul(labels, middle))


def present_forgotten(x, labels, present):
    return sizes(x - ops.mean(x, axis=0))


def distances(x, labels, present):
    return ops.sqrt(sizes(x - ops.mean(x, axis=0)))


def in_half(x, labels, present):
    return ops.cast(sizes(ops.cast(x, "float16")), "float16")


@once
@pytest.mark.parametrize(
    "check, function, text",
    [
        ("losses", centers, "one class has a loss that is no number"),
        ("losses", in_half, "float16"),
        ("sample_weights", present_forgotten, "`present`"),
        ("extremes", distances, "all zero"),
        ("local_step", lambda x, *_: None, "must return a loss of every"),
    ],
)
def test_each_check_finds_what_it_is_for(check, function, text):
    assert text in found(check, function)


@once
def test_precision():
    def project(self, features):
        return ops.square(300 * ops.cast(features, self.compute_dtype))

    def mean(x, labels, present):
        return ops.mean(x, axis=-1)

    assert "mixed_float16" in found("precision", mean, project=project)


@once
def test_copies():
    def config(self):
        return {}

    text = found("serialization", stopped, get_config=config)
    assert "['weight']" in text

    def unnamed(self, weight=1.0, **kwargs):
        objectives.LocalObjective.__init__(self, weight)
        self.projection = keras.layers.Dense(3)

    text = found("copies", stopped, __init__=unnamed)
    assert "name of its own" in text


@once
def test_what_is_made():
    text = failure(
        "check_objective",
        "construction",
        lambda: keras.layers.Dense(3),
        (5,),
        CLASSES,
    )
    assert "is no LocalObjective" in text
