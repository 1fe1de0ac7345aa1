"""Heads that are broken in one way each, which the check names."""

import pytest
from broken import failure
from broken import register
from keras import ops

from keras_ff import layers

CLASSES = 3
once = pytest.mark.only_on("torch")


def head(function, **members):
    """Makes heads that score by a function of themselves and vectors."""

    @register
    class Head(layers.GoodnessHead):
        def build(self, shape):
            super().build(shape)
            self.kernel = self.add_weight(
                name="kernel", shape=(shape[-1], CLASSES)
            )

        def call(self, activation):
            return function(self, activation)

    for name, member in members.items():
        setattr(Head, name, member)
    return lambda: Head(CLASSES)


def scores(self, x):
    return ops.matmul(ops.cast(x, self.score_dtype), self.kernel)


def found(check, function, shape=(5,), **members):
    make = head(function, **members)
    return failure("check_goodness_head", check, make, shape, CLASSES)


@pytest.mark.parametrize(
    "function, text",
    [
        (lambda s, x: scores(s, ops.stop_gradient(x)), "has no gradient"),
        (
            lambda s, x: ops.matmul(x, ops.stop_gradient(s.kernel)),
            "weights do not learn",
        ),
        (
            lambda s, x: scores(s, x) + 3 * ops.stop_gradient(scores(s, x)),
            "is not the slope",
        ),
    ],
)
def test_gradient(function, text):
    assert text in found("gradient", function)


@once
@pytest.mark.parametrize(
    "check, function, text",
    [
        ("outputs", lambda s, x: scores(s, x)[:, :2], "(6, 2)"),
        ("outputs", lambda s, x: ops.cast(scores(s, x), "float16"), "exact"),
        ("precision", lambda s, x: ops.matmul(x, s.kernel), "score_dtype"),
        ("samples", lambda s, x: scores(s, x - ops.mean(x, 0)), "other sample"),
        ("copies", lambda s, x: scores(s, x) * (id(s) % 9973), "other outputs"),
    ],
)
def test_each_check_finds_what_it_is_for(check, function, text):
    assert text in found(check, function)


@once
def test_others():
    text = found("serialization", scores, get_config=lambda self: {})
    assert "['num_classes', 'data_format']" in text
    text = failure(
        "check_goodness_head",
        "construction",
        lambda: layers.FFDense(3),
        (5,),
        CLASSES,
    )
    assert "is no GoodnessHead" in text


@once
def test_sequences():
    def mean(self, x):
        return ops.mean(scores(self, x), axis=1)

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[1] * shape[2], CLASSES))

    text = found("masks", mean, (4, 5), supports_masking=True)
    assert "padding that a mask hides" in text
    assert "TypeError" in found("unknown_sizes", mean, (4, 5), build=build)
