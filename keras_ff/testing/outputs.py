"""What a local layer or a head gives, without training."""

import keras
import numpy as np
from keras import tree

from keras_ff.keras_private import mask_of
from keras_ff.layers.masks import with_mask
from keras_ff.testing.arrays import BATCH
from keras_ff.testing.arrays import PRECISION
from keras_ff.testing.arrays import change
from keras_ff.testing.arrays import difference
from keras_ff.testing.arrays import dtype_of
from keras_ff.testing.arrays import numpy
from keras_ff.testing.arrays import restore
from keras_ff.testing.arrays import state
from keras_ff.testing.battery import demand
from keras_ff.testing.battery import policy

# Round-off of float32 through a few layers.
ROUND_OFF = 1e-4


def goodness_of(outputs):
    """The class scores, of a local layer or of a head."""
    return outputs[1] if isinstance(outputs, tuple) else outputs


def outputs(subject) -> None:
    """Outputs are as announced, and goodness is a row of float32 a sample."""
    layer = subject.made()
    announced = layer(subject.inputs())
    _check_outputs(subject, announced, layer(subject.x))
    paths = [variable.path for variable in layer.variables]
    demand(
        len(set(paths)) == len(paths),
        "two variables have the same path",
        paths,
        "a path of its own for each",
        "give the parts names that differ",
    )


def _check_outputs(subject, announced, found, where="") -> None:
    shape = (BATCH, subject.num_classes)
    goodness = goodness_of(found)
    demand(
        tuple(goodness.shape) == shape,
        f"{where}goodness is not a row of class scores a sample",
        f"goodness of shape {tuple(goodness.shape)}",
        f"{shape}",
        "let the head return scores of shape (batch, num_classes)",
    )
    demand(
        dtype_of(goodness) == "float32",
        f"{where}goodness is less exact than losses are",
        dtype_of(goodness),
        "float32",
        "let the head start with `ops.cast(activation, self.score_dtype)`",
    )
    for symbol, tensor in zip(tree.flatten(announced), tree.flatten(found)):
        demand(
            (tuple(symbol.shape[1:]), symbol.dtype)
            == (tuple(tensor.shape[1:]), dtype_of(tensor)),
            f"{where}an output is not what was announced",
            f"{dtype_of(tensor)} of shape {tuple(tensor.shape)}",
            f"{symbol.dtype} of shape {tuple(symbol.shape)}",
            "correct `compute_output_shape` or `compute_output_spec`, or "
            "leave them to the base class",
        )
        demand(
            np.all(np.isfinite(numpy(tensor))),
            f"{where}an output is not finite for random inputs",
            "NaN or infinity",
            "numbers",
            "look for divisions, roots and logarithms of 0, and for numbers "
            "above 65504, which float16 has not",
        )


def samples(subject) -> None:
    """Without training, outputs depend on their own sample only."""
    layer = subject.built()
    before = state(layer)
    found = tree.flatten(layer(subject.x))
    again = tree.flatten(layer(subject.x))
    others = subject.draw(BATCH, seed=4)
    others[2] = subject.x[2]
    among = tree.flatten(layer(others))
    mend = (
        "use statistics of the batch, random numbers and updates of weights "
        "only where `training` is true"
    )
    for tensor, second, third in zip(found, again, among):
        off = difference(numpy(second), numpy(tensor))
        demand(
            off == 0,
            "two calls with the same samples differ",
            f"a difference of {off:.2g}",
            "the same outputs",
            mend,
        )
        off = difference(numpy(third)[2], numpy(tensor)[2])
        demand(
            off <= ROUND_OFF,
            "a sample has other outputs among other samples",
            f"a difference of {off:.2g}",
            f"at most {ROUND_OFF}",
            mend,
        )
    changed = [
        variable.path
        for variable, old, new in zip(layer.variables, before, state(layer))
        if not np.array_equal(old, new)
    ]
    demand(
        not changed,
        "a call that does not train changes variables",
        f"changed: {changed}",
        "none",
        mend,
    )


def unknown_sizes(subject) -> bool:
    """Inputs of sizes that are not known yet are taken, or refused.

    `ValueError` refuses them.
    """
    shape = [None] * len(subject.input_shape)
    first = keras.config.image_data_format() == "channels_first"
    channels = 0 if first and len(shape) > 2 else -1
    if subject.has_gradient:
        shape[channels] = subject.input_shape[channels]
    if None not in shape:
        return False
    layer = subject.made()
    try:
        announced = tree.flatten(layer(subject.inputs(shape)))
    except ValueError:
        return False
    known = subject.built()
    restore(known, state(layer))
    found, expected = (tree.flatten(each(subject.x)) for each in (layer, known))
    for symbol, tensor, right in zip(announced, found, expected):
        fits = len(symbol.shape) == len(tensor.shape) and all(
            size in (None, real)
            for size, real in zip(symbol.shape, tensor.shape)
        )
        mend = (
            "use `ops.shape(x)` where `x.shape` has None, or raise a "
            "ValueError in `build` for sizes that must be known"
        )
        demand(
            fits,
            "an output of inputs of unknown size is not what was announced",
            f"shape {tuple(tensor.shape)}",
            f"shape {tuple(symbol.shape)}",
            mend,
        )
        off = difference(numpy(tensor), numpy(right))
        demand(
            off <= ROUND_OFF,
            "one built without sizes gives other outputs than one with them",
            f"a difference of {off:.2g}",
            f"at most {ROUND_OFF}",
            mend,
        )
    return True


def masks(subject) -> bool:
    """What a mask of steps hides changes no goodness, or is refused.

    `ValueError` refuses masks. Only inputs `(steps, channels)` get some.
    """
    if len(subject.input_shape) != 2 or subject.input_shape[0] < 2:
        return False
    layer = subject.built()
    shown = np.ones(subject.x.shape[:2], "bool")
    shown[:, (subject.input_shape[0] + 1) // 2 :] = False
    found = []
    hidden = (np.float32(0), np.float32(100))
    if not subject.has_gradient:
        hidden = (subject.draw(BATCH, seed) for seed in (4, 5))
    for padding in hidden:
        x = np.where(shown[..., None], subject.x, padding)
        tensor = with_mask(
            keras.ops.convert_to_tensor(x), keras.ops.convert_to_tensor(shown)
        )
        try:
            outputs = layer(tensor)
        except ValueError:
            return False
        goodness = goodness_of(outputs)
        found.append(numpy(goodness))
    mend = (
        "let `call` take `mask=None` and leave out the steps that it hides, "
        "or let it raise a ValueError where it gets one"
    )
    off = difference(*found)
    demand(
        off <= ROUND_OFF,
        "padding that a mask hides changes the goodness",
        f"a difference of {off:.2g}",
        f"at most {ROUND_OFF}",
        mend,
    )
    demand(
        mask_of(goodness) is None,
        "goodness has a mask, which losses would take for weights",
        "a mask",
        "none",
        "let `compute_mask` of the head return None",
    )
    return True


def precision(subject) -> None:
    """Under mixed precision outputs stay close to those of float32."""
    exact = change(subject.built())
    for name, spacing in PRECISION.items():
        with policy(name):
            layer = subject.made()
            announced = layer(subject.inputs())
        restore(layer, state(exact))
        # Both see the same numbers.
        x = subject.x
        if subject.has_gradient:
            x = numpy(keras.ops.cast(x, name.removeprefix("mixed_")))
            x = x.astype("float32")
        found = layer(x)
        _check_outputs(subject, announced, found, f"under {name} ")
        low = [
            v.path for v in layer.trainable_variables if v.dtype != "float32"
        ]
        demand(
            not low,
            f"under {name} weights are less exact than float32",
            f"{low}",
            "none",
            "leave `dtype` out of `add_weight`",
        )
        for tensor, right in zip(tree.flatten(found), tree.flatten(exact(x))):
            right = numpy(right)
            off = np.abs(numpy(tensor) - right).max()
            allowed = 16 * np.std(right) + 2 * np.abs(right).max()
            allowed *= spacing
            demand(
                off <= allowed,
                f"under {name} an output is far from that in float32",
                f"a difference of {off:.2g}",
                f"at most {allowed:.2g}",
                "compute sums, squares, norms and exponentials in "
                "`ops.cast(x, 'float32')`",
            )
