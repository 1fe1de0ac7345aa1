from collections.abc import Callable

import keras

from keras_ff.checks import check_integer
from keras_ff.checks import check_maker
from keras_ff.checks import check_num_classes
from keras_ff.keras_private import all_layers
from keras_ff.testing.arrays import BATCH
from keras_ff.testing.arrays import normal
from keras_ff.testing.battery import demand


class Subject:
    """A kind of layer that is checked, and the samples it is checked with.

    Args:
        make: function that makes one, or its class.
        kind: the base class of such layers.
        input_shape: tuple, of one sample.
        num_classes: int, how many classes samples have.
    """

    def __init__(
        self,
        make: Callable,
        kind: type,
        input_shape: tuple,
        num_classes: int,
    ) -> None:
        check_maker(
            "the first argument",
            make,
            f"a {kind.__name__}",
            f"lambda: My{kind.__name__}(...)",
        )
        for size in input_shape:
            check_integer("input_shape", size, minimum=1)
        self._make = make
        self.kind = kind
        self.input_shape = tuple(input_shape)
        self.num_classes = check_num_classes(num_classes)
        self.x = normal((BATCH, *self.input_shape), seed=1)
        self._name = kind.__name__

    def __str__(self):
        return self._name

    def made(self) -> keras.layers.Layer:
        """A new one, not built yet."""
        layer = self._make()
        self._name = type(layer).__name__
        name = self.kind.__name__
        if self.kind.__name__ != self._name:
            self._name = f"{name} {self._name}"
        demand(
            isinstance(layer, self.kind),
            f"what was made is no {name}",
            f"{layer!r} of type {type(layer).__name__}",
            f"an instance of a subclass of {name}",
            f"derive the class from {name}",
        )
        return layer

    def built(self) -> keras.layers.Layer:
        """A new one, built for the samples."""
        layer = self.made()
        layer(keras.Input(self.input_shape))
        return layer


def construction(subject: Subject) -> None:
    """Every call makes a new one with parts of its own."""
    first, second = subject.made(), subject.made()
    parts = {id(part): part for part in all_layers(first)}
    shared = [part.name for part in all_layers(second) if id(part) in parts]
    demand(
        not shared,
        "two that were made one after the other share parts",
        f"shared: {shared}",
        "none in common",
        "make the layer and all of its parts inside the function that is "
        "given, not before it",
    )
