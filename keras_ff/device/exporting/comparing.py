"""No program is done before it was run and gave what TensorFlow gives."""

import numpy as np
import tensorflow as tf

from keras_ff.device.program import Program
from keras_ff.device.program import run_in

# How far numbers may be from TensorFlow's, as a share of the largest.
_TOLERANCE = 1e-4
# A step changes weights by little, of which a wrong gradient is a part: what
# changes is held against its change, beside what rounding does to it.
_OF_CHANGE = 1e-3
_ROUNDING = 1e-6
_CURE = (
    "An operation of this layer has no equal on the device; replace it, or "
    "report it with the layer's definition."
)


def check_runs(
    content,
    signatures,
    values,
    num_classes,
    title,
    tolerance=_TOLERANCE,
    cure=_CURE,
):
    """Runs every signature of a program, on random numbers, in LiteRT.

    Args:
        content: the program, bytes.
        signatures: list of its `Signature`s.
        values: dict from inputs' names to the arrays that weights and states
            have; they get a little noise.
        num_classes: int, how many classes integer labels are drawn from.
        title: string, what an error calls the program.
        tolerance: float, how far numbers may be apart, as a share of the
            largest.
        cure: string, what to do where they are farther.

    Raises:
        ValueError: if it cannot run, or gives something else.
    """
    random = np.random.default_rng(0)
    for signature in signatures:
        given = {
            name: _drawn(random, name, shape, dtype, values, num_classes)
            for name, (shape, dtype) in signature.specs.items()
        }
        expected = signature.concrete(
            **{name: tf.constant(x) for name, x in given.items()}
        )
        expected = {name: x.numpy() for name, x in expected.items()}
        for delegates in (True, False):
            try:
                program = Program(content=content, delegates=delegates)
                found = run_in(program, signature.name, given)
            except (RuntimeError, ValueError) as error:
                raise ValueError(
                    f"{title} cannot run in LiteRT: {error}"
                ) from error
            told = f"{title}, signature {signature.name!r}"
            _compare(found, expected, given, told, tolerance, cure)


def _drawn(random, name, shape, dtype, values, num_classes):
    kind, _, _ = name.partition("_")
    if name in values:
        value = np.asarray(values[name])
        if value.dtype.kind != "f":
            return value
        # Variances stay positive, and above the squares of means.
        noise = random.uniform(0.05, 0.1, shape)
        return (value + noise).astype(value.dtype)
    dtype = np.dtype(dtype)
    if name == "labels" and dtype.kind in "iu":
        return random.integers(0, num_classes, shape).astype(dtype)
    if name == "labels":
        rows = random.uniform(0.1, 1, shape)
        return (rows / rows.sum(-1, keepdims=True)).astype(dtype)
    if kind in ("noise", "sample") or dtype.kind in "iu":
        return random.uniform(0, 1, shape).astype(dtype)
    if name == "epoch":
        return np.asarray(2, dtype)
    return random.normal(0, 1, shape).astype(dtype)


def _compare(found, expected, given, title, tolerance, cure):
    for name, value in expected.items():
        other = found.get(name)
        if other is None or other.shape != value.shape:
            raise ValueError(
                f"{title}: LiteRT gives {name!r} the shape "
                f"{getattr(other, 'shape', None)}, TensorFlow {value.shape}"
            )
        if value.size == 0 or np.array_equal(other, value, equal_nan=True):
            continue
        value, other = value.astype("float64"), other.astype("float64")
        apart = np.abs(other - value).max()
        allowed = tolerance * max(1.0, np.abs(value).max())
        if name.startswith(("weight_", "state_")):
            change = np.abs(value - given[name]).max()
            allowed = _OF_CHANGE * change + _ROUNDING * np.abs(value).max()
        if not apart <= allowed:
            raise ValueError(
                f"{title}: LiteRT computes {name!r} otherwise than "
                f"TensorFlow, up to {apart:.2g} apart. Nothing was written. "
                f"{cure}"
            )
