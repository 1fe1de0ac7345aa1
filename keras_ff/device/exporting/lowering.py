"""Graphs that LiteRT can run, of layers as they stand."""

import contextlib
import functools
import operator
from unittest import mock

import tensorflow as tf

from keras_ff.device.exporting.gradients import gradients_made


class Noise:
    """The random numbers of dropout, which the caller of a program draws.

    Args:
        tensors: list of what was given, uniform in `[0, 1)`, or `None` to
            find out what is needed.

    Attributes:
        shapes: list of the shapes of what was asked for.
    """

    def __init__(self, tensors=None):
        self._tensors = tensors
        self.shapes = []

    def dropout(self, x, rate, noise_shape=None, **seeds):
        """Stands for `tf.nn.experimental.stateless_dropout`."""
        shape = x.shape.as_list()
        if noise_shape is not None:
            shape = tf.get_static_value(tf.convert_to_tensor(noise_shape))
        shape = tuple(int(size) for size in shape)
        number = len(self.shapes)
        self.shapes.append(shape)
        if self._tensors is None:
            return x
        kept = tf.cast(self._tensors[number] >= rate, x.dtype)
        return x * kept / (1.0 - rate)


@contextlib.contextmanager
def lowered(noise):
    """A context in which layers and gradients are traced for a device.

    Args:
        noise: a `Noise`.
    """
    twins = {
        "nn.relu": _relu,
        "nn.relu6": _relu6,
        "nn.gelu": _gelu,
        "math.erf": _erf,
        "nn.convolution": functools.partial(_convolution, tf.nn.convolution),
        "nn.experimental.stateless_dropout": noise.dropout,
    }
    eagerly = tf.config.functions_run_eagerly()
    graph = tf.compat.v1.get_default_graph()
    with contextlib.ExitStack() as stack:
        for name, twin in twins.items():
            owner, _, name = name.rpartition(".")
            owner = operator.attrgetter(owner)(tf)
            stack.enter_context(mock.patch.object(owner, name, twin))
        stack.enter_context(graph.gradient_override_map(gradients_made()))
        # Keras compiles convolutions of several groups, which would not know
        # of the twins.
        tf.config.run_functions_eagerly(True)
        stack.callback(tf.config.run_functions_eagerly, eagerly)
        yield


def _relu(features, name=None):
    """ReLU, without the operation.

    The converter drops it after a product of two inputs (docs/upstream.md).
    """
    return features * tf.cast(features > 0, features.dtype)


def _relu6(features, name=None):
    within = tf.logical_and(features > 0, features < 6)
    over = 6.0 * tf.cast(features >= 6, features.dtype)
    return features * tf.cast(within, features.dtype) + over


def _gelu(features, approximate=False, name=None):
    x = features
    if approximate:
        inner = 0.7978845608028654 * (x + 0.044715 * x * x * x)
        return 0.5 * x * (1.0 + tf.tanh(inner))
    return 0.5 * x * (1.0 + _erf(x * 0.7071067811865476))


@tf.custom_gradient
def _erf(x, name=None):
    """The error function, which LiteRT lacks, to 2e-7.

    Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26.
    """
    t = 1.0 / (1.0 + 0.3275911 * tf.abs(x))
    total = tf.zeros_like(t)
    for factor in (1.061405429, -1.453152027, 1.421413741, -0.284496736):
        total = t * (total + factor)
    total = t * (total + 0.254829592)
    bell = tf.exp(-x * x)
    return tf.sign(x) * (
        1.0 - total * bell
    ), lambda grad: grad * 1.1283791670955126 * bell


def _convolution(convolution, input, filters, *args, **kwargs):
    """Convolutions of several groups, which no processor runs, one by one."""
    taken, channels = filters.shape[-2], input.shape[-1]
    groups = channels // taken
    if groups == 1 or kwargs.get("data_format", "").startswith("NC"):
        return convolution(input, filters, *args, **kwargs)
    parts = zip(tf.split(input, groups, -1), tf.split(filters, groups, -1))
    return tf.concat([convolution(x, k, *args, **kwargs) for x, k in parts], -1)
