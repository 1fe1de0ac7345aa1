"""Graphs that LiteRT can run, of layers as they stand."""

import contextlib
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
        "relu": _relu,
        "relu6": _relu6,
        "gelu": _gelu,
        "experimental.stateless_dropout": noise.dropout,
    }
    eagerly = tf.config.functions_run_eagerly()
    graph = tf.compat.v1.get_default_graph()
    with contextlib.ExitStack() as stack:
        for name, twin in twins.items():
            *path, name = name.split(".")
            owner = tf.nn
            for part in path:
                owner = getattr(owner, part)
            stack.enter_context(mock.patch.object(owner, name, twin))
        stack.enter_context(graph.gradient_override_map(gradients_made()))
        # Keras compiles convolutions of several groups in functions of their
        # own, whose graphs would not know of this one's gradients.
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
    """GELU without `Erfc`, which LiteRT lacks."""
    x = features
    if approximate:
        inner = 0.7978845608028654 * (x + 0.044715 * x * x * x)
        return 0.5 * x * (1.0 + tf.tanh(inner))
    return 0.5 * x * (1.0 + tf.math.erf(x * 0.7071067811865476))
