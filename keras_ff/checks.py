"""Checks of arguments that several packages take."""

import numbers
from typing import Any
from typing import TypeGuard


def is_integer(value: Any) -> TypeGuard[int]:
    """Whether a value is a whole number of an integer type."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def check_integer(name, value, minimum):
    """Raises if an argument is not an integer of at least `minimum`."""
    if not is_integer(value):
        raise TypeError(
            f"`{name}` must be an integer. Received: {name}={value!r} "
            f"of type {type(value).__name__}"
        )
    if value < minimum:
        raise ValueError(
            f"`{name}` must be at least {minimum}. Received: {name}={value}"
        )


def check_number(name, value, positive=False):
    """An argument as a float; raises if it is negative or not finite.

    Args:
        name: string, the argument's.
        value: what was given.
        positive: bool, whether zero is refused, too.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(
            f"`{name}` must be a number. Received: {name}={value!r} of type "
            f"{type(value).__name__}"
        )
    number = float(value)
    if not 0 <= number < float("inf") or (positive and number == 0):
        least = "positive" if positive else "at least 0"
        raise ValueError(
            f"`{name}` must be {least} and finite. Received: {name}={value}"
        )
    return number


def check_bool(name, value):
    """Raises if an argument is not a bool."""
    if not isinstance(value, bool):
        raise TypeError(f"`{name}` must be a bool. Received: {name}={value!r}")


def check_fraction(name, value):
    """An argument as a float; raises if it is no number in `[0, 1]`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(
            f"`{name}` must be a number in [0, 1]. Received: "
            f"{name}={value!r} of type {type(value).__name__}"
        )
    if not 0 <= float(value) <= 1:
        raise ValueError(
            f"`{name}` must be in [0, 1]. Received: {name}={value}"
        )
    return float(value)


def check_images(layer, shape, advice=""):
    """Raises if what a layer gets are not images.

    Args:
        layer: string, what the message calls it.
        shape: tuple, of its inputs.
        advice: string, a sentence about what else to do.
    """
    if len(shape) != 4:
        raise ValueError(
            f"{layer} takes images: four axes, batch, height, width and "
            f"channels. Received: inputs of shape {tuple(shape)}. Images "
            "without channels get them by `x[..., None]`, vectors that are "
            f"images by a `keras.layers.Reshape`.{advice}"
        )


def check_sequences(layer, shape, advice=""):
    """Raises if what a layer gets are not sequences; see `check_images`."""
    if len(shape) != 3:
        raise ValueError(
            f"{layer} takes sequences: three axes, batch, steps and channels. "
            f"Received: inputs of shape {tuple(shape)}. Sequences of single "
            f"numbers get channels by `x[..., None]`.{advice}"
        )


def check_maker(name, value, made, example):
    """Raises if an argument is not a function or a class that makes something.

    Args:
        name, value: of the argument.
        made: string, what it makes.
        example: string, what would do.
    """
    # A layer can be called, but makes nothing.
    if isinstance(value, type) or (
        callable(value) and not hasattr(value, "get_config")
    ):
        return
    raise TypeError(
        f"`{name}` must be a class or a function that makes {made}, such as "
        f"`{example}`. Received: {name}={value!r} of type "
        f"{type(value).__name__}"
    )


def check_num_classes(num_classes, minimum=2):
    """The number of classes as an int; raises if it is none."""
    if not is_integer(num_classes) or num_classes < minimum:
        raise ValueError(
            f"`num_classes` must be an integer of at least {minimum}. "
            f"Received: num_classes={num_classes!r}"
        )
    return int(num_classes)
