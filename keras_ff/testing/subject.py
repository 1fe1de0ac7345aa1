from collections.abc import Callable

import keras
import numpy as np

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
        make_inputs: function of a shape and a seed that draws samples.
    """

    def __init__(
        self,
        make: Callable,
        kind: type,
        input_shape: tuple,
        num_classes: int,
        make_inputs: Callable = normal,
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
        self._make_inputs = make_inputs
        self.x = self.draw(BATCH, seed=1)
        self._name = kind.__name__

    def __str__(self):
        return self._name

    def draw(self, number: int, seed: int) -> np.ndarray:
        """Samples, float32 or int32."""
        shape = (number, *self.input_shape)
        x = np.asarray(self._make_inputs(shape, seed))
        if x.shape != shape or x.dtype.kind not in "fiu":
            raise ValueError(
                "`make_inputs(shape, seed)` must give an array of numbers of "
                f"this shape. Received: {x.dtype} of shape {x.shape} for "
                f"shape={shape}"
            )
        return x.astype("float32" if x.dtype.kind == "f" else "int32")

    @property
    def has_gradient(self) -> bool:
        """Whether samples are such numbers as have one."""
        return self.x.dtype.kind == "f"

    def inputs(self, shape: tuple | None = None) -> keras.KerasTensor:
        """A symbol of the samples."""
        shape = self.input_shape if shape is None else shape
        return keras.Input(shape, dtype=self.x.dtype.name)

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
        layer(self.inputs())
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
