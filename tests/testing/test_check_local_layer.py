"""Layers that are broken in one way each, which the check names."""

import pickle
import re
import sys

import keras
import numpy as np
import pytest
from broken import failure
from broken import register
from keras import ops

from keras_ff import layers
from keras_ff import testing

CLASSES = 3
ALL = [
    check.__name__
    for check in sys.modules["keras_ff.testing._check_local_layer"].CHECKS
]
once = pytest.mark.only_on("torch")


class Local(layers.LocalLayer):
    """A sound one; what derives from it is not."""

    def __init__(self, units=4, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.layers = [keras.layers.Dense(units, "tanh", name="dense")]
        self.head = layers.GoodnessProjection(CLASSES, name="head")

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def found(check, make, shape=(5,)):
    return failure("check_local_layer", check, make, shape, CLASSES)


def block(layer):
    """Makes blocks of an operation of one's own."""
    return lambda: layers.LocalBlock(
        [
            keras.layers.Dense(4, name="dense", kernel_regularizer="l2"),
            layer(),
        ],
        layers.GoodnessProjection(CLASSES, name="head"),
    )


def operation(function):
    """A class of layers without weights that compute a function."""

    @register
    class Operation(keras.layers.Layer):
        def call(self, inputs, training=None):
            return function(inputs, training)

        def compute_output_shape(self, shape):
            return shape

    return Operation


# === No gradient enters or leaves the layer, and a step is its own ===


@register
class TakesGradient(Local):
    def activate(self, inputs, training=None):
        for layer in self.layers:
            inputs = layer(inputs)
        return inputs


@register
class GivesGradient(Local):
    def call(self, inputs, training=None, keep_gradient=False):
        return super().call(inputs, training, keep_gradient=True)


@pytest.mark.parametrize(
    "make, message",
    [
        (TakesGradient, "loss of the goodness changes weights in front"),
        (GivesGradient, "from the features changes weights.*dense/kernel"),
    ],
)
def test_locality(make, message):
    assert re.search(message, found("locality", make))


@register
class CountsInPython(keras.layers.Layer):
    calls = 0

    def call(self, inputs):
        type(self).calls += 1
        return inputs * type(self).calls


@register
class HasADeadWeight(Local):
    def build(self, shape):
        super().build(shape)
        self.dead = self.add_weight(name="dead", shape=(2,))


def test_local_step():
    # Regularizers move weights, too; no gradient has left the layer.
    others = [name for name in ALL if name != "locality"]
    make = block(CountsInPython)
    assert testing.check_local_layer(make, (5,), CLASSES, skip=others) == [
        "locality"
    ]
    text = found("local_step", block(CountsInPython))
    assert "plain automatic differentiation" in text
    text = found("local_step", HasADeadWeight)
    assert "trainable weights do not learn" in text and "/dead']" in text


# === What does not hang on the backend's gradients ===

centered = operation(
    lambda x, training: x - ops.mean(x, axis=0) if training else x
)
spread = operation(
    lambda x, training: x / ops.std(x, axis=0) if training else x
)
faint = operation(lambda x, _: ops.square(1e-4 * x) * 1e8)
loud = operation(lambda x, _: ops.square(300 * x))
louder = operation(lambda x, _: ops.square(1e5 * x))
by_batch = operation(lambda x, _: x / ops.cast(ops.shape(x)[0], x.dtype))
mixed = operation(lambda x, _: x - ops.mean(x, axis=0))
noisy = operation(lambda x, _: x + keras.random.normal(ops.shape(x)))
rooted = operation(lambda x, _: ops.sqrt(x))


@register
class Counts(keras.layers.Layer):
    def build(self, shape):
        self.calls = self.add_weight(
            name="calls", initializer="zeros", trainable=False
        )

    def call(self, inputs):
        self.calls.assign_add(1.0)
        return inputs


@register
class NeedsSizes(keras.layers.Layer):
    def build(self, shape):
        self.positions = self.add_weight(shape=(shape[1] * 1, 1))

    def call(self, inputs):
        return inputs + self.positions


@register
class IgnoresMasks(layers.GoodnessHead):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.supports_masking = True

    def call(self, activation):
        return ops.mean(activation, axis=1)[:, :CLASSES]


@register
class AnnouncesAnother(Local):
    def compute_output_spec(self, inputs, **kwargs):
        features, goodness = super().compute_output_spec(inputs, **kwargs)
        return keras.KerasTensor((None, 7)), goodness


@register
class LosesUnits(Local):
    def get_config(self):
        config = super().get_config()
        del config["units"]
        return config


class Unregistered(Local):
    pass


@register
class GivesObjects(Local):
    def get_config(self):
        return {**super().get_config(), "activation": np.tanh}


@register
class GivesOtherUnits(Local):
    def get_config(self):
        return {**super().get_config(), "units": self.units + 1}


@register
class NamesNoParts(Local):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.layers = [keras.layers.Dense(4)]


@register
class LearnsInNumPy(keras.layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.factor = np.random.default_rng().uniform(1, 2)

    def call(self, inputs):
        return inputs * self.factor


@register
class NeverFreezes(Local):
    @property
    def trainable_variables(self):
        return self.variables


HEAD = layers.GoodnessProjection(CLASSES)


def of_one_head():
    return layers.LocalBlock(keras.layers.Dense(4, name="dense"), HEAD)


def of_a_sequence():
    return layers.LocalBlock(
        keras.layers.Dense(4, name="dense"), IgnoresMasks(CLASSES, name="head")
    )


@once
@pytest.mark.filterwarnings("ignore:Layer .* has no part")
@pytest.mark.parametrize(
    "check, make, text",
    [
        ("construction", of_one_head, "share parts"),
        ("construction", lambda: keras.layers.Dense(3), "is no LocalLayer"),
        ("outputs", AnnouncesAnother, "not what was announced"),
        ("outputs", block(rooted), "not finite"),
        ("samples", block(mixed), "other outputs among other samples"),
        ("samples", block(noisy), "two calls"),
        ("samples", block(Counts), "calls']"),
        ("precision", block(loud), "mixed_float16"),
        ("serialization", LosesUnits, "no ['units']"),
        ("serialization", Unregistered, "register_keras_serializable"),
        ("serialization", GivesObjects, "does not fit into a file"),
        ("serialization", GivesOtherUnits, "units=5 became 6"),
        ("copies", NamesNoParts, "name of its own"),
        ("copies", block(LearnsInNumPy), "gives other outputs"),
        ("frozen", NeverFreezes, "frozen layer train"),
        ("sample_weights", block(centered), "samples of weight zero"),
        ("batch_of_one", block(spread), "NaN or infinity"),
        ("mixed_precision_step", block(faint), "under mixed_float16"),
        ("predictions", block(by_batch), "`goodness` of a ForwardOnlyModel"),
    ],
)
def test_each_check_finds_what_it_is_for(check, make, text):
    assert text in found(check, make)


@once
def test_sequences():
    text = found("masks", of_a_sequence, (4, 5))
    assert "padding that a mask hides" in text
    text = found("unknown_sizes", block(NeedsSizes), (4, 5))
    assert "TypeError" in text


# === The call itself ===


@once
def test_it_tells_which_checks_applied_and_leaves_no_trace():
    keras.config.set_dtype_policy("mixed_bfloat16")
    skip = ["copies", "locality", "local_step", "mixed_precision_step"]
    make = register(type("Sound", (Local,), {}))
    held = testing.check_local_layer(make, (5,), CLASSES, skip=skip)
    assert keras.config.dtype_policy().name == "mixed_bfloat16"
    assert not {"masks", "unknown_sizes", *skip} & set(held)
    assert {"outputs", "sample_weights", "predictions"} <= set(held)


@once
def test_arguments():
    with pytest.raises(ValueError, match=r"'outputs'.*skip=\['output'\]"):
        testing.check_local_layer(Local, (5,), CLASSES, skip="output")
    with pytest.raises(TypeError, match="makes a LocalLayer"):
        testing.check_local_layer(Local(), (5,), CLASSES)
    with pytest.raises(TypeError, match="input_shape"):
        testing.check_local_layer(Local, (None,), CLASSES)


@once
def test_failures_travel_between_processes():
    with pytest.raises(testing.CheckFailure) as caught:
        testing.check_local_layer(lambda: 3, (5,), CLASSES)
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    assert again.check == "construction"


# === Inputs that are drawn in another way ===


def words(shape, seed):
    return np.random.default_rng(seed).integers(1, 20, shape)


def of_words(*after):
    def make():
        return layers.LocalBlock(
            [
                keras.layers.Embedding(
                    20, 4, mask_zero=True, embeddings_regularizer="l2"
                ),
                keras.layers.GlobalAveragePooling1D(),
                *(layer() for layer in after),
            ],
            layers.GoodnessProjection(CLASSES, name="head"),
        )

    return make


def test_words():
    # Lookups have gradients of their own kind; the rest knows no backend.
    asked = ALL if keras.config.backend() == "torch" else ["local_step"]
    held = testing.check_local_layer(
        of_words(),
        (7,),
        CLASSES,
        skip=[name for name in ALL if name not in asked],
        make_inputs=words,
    )
    assert held == [name for name in asked if name != "masks"]


@once
@pytest.mark.parametrize(
    "check, layer, text",
    [
        ("local_step", CountsInPython, "plain automatic differentiation"),
        ("sample_weights", centered, "samples of weight zero"),
        ("samples", mixed, "other outputs among other samples"),
        ("precision", louder, "mixed_float16"),
    ],
)
def test_each_check_finds_what_it_is_for_with_words(check, layer, text):
    make = of_words(layer)
    found = failure(
        "check_local_layer", check, make, (7,), CLASSES, make_inputs=words
    )
    assert text in found


@once
@pytest.mark.parametrize(
    "make_inputs", [lambda shape, seed: 3, lambda shape, seed: shape]
)
def test_inputs_of_another_shape(make_inputs):
    with pytest.raises(ValueError, match=r"array of numbers.*shape=\(6, 7\)"):
        testing.check_local_layer(
            of_words(), (7,), CLASSES, make_inputs=make_inputs
        )
