"""A program of a device on its way: traced, converted, compared."""

import contextlib
import hashlib
import logging
import tempfile

import tensorflow as tf

from keras_ff.device.exporting.lowering import Noise
from keras_ff.device.exporting.lowering import lowered


class Signature:
    """A function of named tensors, traced for a device.

    Args:
        name: string, what devices call it by.
        function: function from a dict of tensors to a dict of tensors.
        specs: dict from names to pairs of a shape and a dtype.

    Attributes:
        concrete: the traced function.
        noise: list of the shapes of the random numbers that dropout takes,
            as inputs `noise_0`, `noise_1` and so on.
    """

    def __init__(self, name, function, specs):
        self.name = name
        self.specs = dict(specs)
        self.concrete, self.noise = self._traced(function, None)
        if self.noise:
            for i, shape in enumerate(self.noise):
                self.specs[f"noise_{i}"] = (shape, "float32")
            self.concrete, _ = self._traced(function, len(self.noise))

    def _traced(self, function, number):
        found = []

        @tf.function(autograph=False)
        def traced(**tensors):
            drawn = None
            if number is not None:
                drawn = [tensors[f"noise_{i}"] for i in range(number)]
            noise = Noise(drawn)
            with lowered(noise):
                outputs = function(tensors)
            found[:] = noise.shapes
            # An output that is an input has no place of its own.
            return {key: tf.identity(x, key) for key, x in outputs.items()}

        return traced.get_concrete_function(
            **{
                key: tf.TensorSpec(shape, dtype, name=key)
                for key, (shape, dtype) in self.specs.items()
            }
        ), list(found)

    def fingerprint(self):
        """The same for functions that differ in the names of layers only."""
        graph = self.concrete.graph.as_graph_def()
        names = {}
        digest = hashlib.sha256(self.name.encode())
        for node in graph.node:
            place = f"n{len(names)}"
            names[node.name] = place
            kept = [a for a in sorted(node.attr) if not a.startswith("_")]
            inputs = [_renamed(names, i) for i in node.input]
            digest.update(repr([node.op, inputs, kept]).encode())
            for attribute in kept:
                value = node.attr[attribute].SerializeToString(
                    deterministic=True
                )
                digest.update(value)
        outputs = self.concrete.structured_outputs
        for key in sorted(outputs):
            name = outputs[key].op.name
            digest.update(repr([key, names.get(name)]).encode())
        for function in graph.library.function:
            digest.update(function.SerializeToString(deterministic=True))
        return digest.hexdigest()


def _renamed(names, name):
    base, _, port = name.partition(":")
    control = base.startswith("^")
    return (control, names.get(base.lstrip("^"), base), port)


def convert(signatures, int8=False):
    """The LiteRT program of some signatures, as bytes.

    Args:
        signatures: list of `Signature`s.
        int8: bool, whether weights that are constants become int8, each with
            a scale of its own; what layers give to each other stays float32.

    Raises:
        tf.lite.experimental.ConverterError: if it needs operations that
            LiteRT does not have.
    """
    module = tf.Module()
    with _quiet("absl"), tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(
            module,
            folder,
            signatures={s.name: s.concrete for s in signatures},
            options=tf.saved_model.SaveOptions(
                experimental_custom_gradients=False
            ),
        )
        converter = tf.lite.TFLiteConverter.from_saved_model(
            folder, signature_keys=[s.name for s in signatures]
        )
        if int8:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        return converter.convert()


@contextlib.contextmanager
def _quiet(name):
    """Keeps a logger from its warnings, of gradients that are not saved."""
    logger = logging.getLogger(name)
    disabled, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = disabled
