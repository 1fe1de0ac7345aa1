import difflib

import keras

from keras_ff.checks import check_maker
from keras_ff.checks import is_integer
from keras_ff.keras_private import producer
from keras_ff.layers import GoodnessProjection
from keras_ff.layers import LocalBlock
from keras_ff.models.forward_only_model import ForwardOnlyModel
from keras_ff.models.graph import cut_points


def localize(model, num_classes, cut=4, goodness=None, **options):
    """Makes a forward-only model of any functional Keras model.

    The model is cut where a single tensor crosses (so never inside a residual
    block); the parts become local blocks, each with a goodness head.
    Backpropagation runs inside a block only, and the memory of a training
    step is that of the largest block.

    The blocks share their layers, and so their weights, with the given model.

    Args:
        model: a functional or a built sequential Keras model with one input
            and one output, without its classification top
            (`include_top=False`).
        num_classes: int, at least 2.
        cut: where to cut. An int is the number of blocks, as equal in number
            of weights as the valid cut points allow; a list holds the names
            of the layers after which to cut. Defaults to `4`.
        goodness: function `num_classes -> goodness head`, or the class of
            one, called once a block. Defaults to
            `keras_ff.layers.GoodnessProjection`.
        **options: arguments of `ForwardOnlyModel` (`contribution`,
            `layer_clipnorm`, `layer_metrics`, `name`).

    Returns:
        A `ForwardOnlyModel`.

    Raises:
        TypeError: if the model is neither functional nor sequential, or a
            `ForwardOnlyModel`, or `cut` or `goodness` is of another type.
        ValueError: if the model has several inputs or outputs, ends in a
            softmax, or cannot be cut where or as often as asked; the message
            names valid cut points.

    Example:

    ```python
    backbone = keras.applications.ResNet50(
        include_top=False, weights=None, input_shape=(32, 32, 3)
    )
    model = keras_ff.models.localize(backbone, num_classes=10, cut=8)
    model.compile(optimizer=keras.optimizers.AdamW(1e-3))
    ```
    """
    if isinstance(model, keras.Sequential) and model.built:
        model = keras.Model(model.inputs, model.outputs, name=model.name)
    points = cut_points(model)
    if isinstance(model, ForwardOnlyModel):
        raise TypeError(
            "The model is made of local layers already. Received: "
            f"{type(model).__name__} '{model.name}'"
        )
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError(
            "`model` must have one input and one output. Received: "
            f"{len(model.inputs)} inputs, {len(model.outputs)} outputs"
        )
    last = producer(model.outputs[0])
    if getattr(last, "activation", None) is keras.activations.softmax:
        raise ValueError(
            f"The model ends in a softmax ('{last.name}'): every block gets a "
            "head of its own. Give it without its classification top "
            "(include_top=False)."
        )
    if is_integer(cut):
        names = _even_cuts(model, points, int(cut))
    else:
        names = _named_cuts(model, points, cut)
    goodness = goodness or GoodnessProjection
    check_maker(
        "goodness",
        goodness,
        "the goodness head of each block",
        "lambda num_classes: GoodnessProjection(num_classes)",
    )
    tensors = [*(points[name] for name in names), model.outputs[0]]
    start, blocks = model.inputs[0], []
    for i, tensor in enumerate(tensors):
        part = keras.Model(start, tensor, name=f"part_{i}")
        blocks.append(
            LocalBlock(part, goodness(num_classes), name=f"block_{i}")
        )
        start = tensor
    (given,) = model.inputs
    inputs = keras.Input(given.shape[1:], dtype=given.dtype, name=given.name)
    return ForwardOnlyModel([inputs, *blocks], **options)


def _named_cuts(model, points, cut):
    """The given cut points, checked, in the order of the layers."""
    names = [cut] if isinstance(cut, str) else cut
    if not isinstance(names, (list, tuple)):
        raise TypeError(
            "`cut` must be a number of blocks or a list of layer names. "
            f"Received: cut={cut!r}"
        )
    if len(set(names)) < len(names):
        raise ValueError(f"`cut` names a layer twice. Received: cut={cut}")
    layers = [layer.name for layer in model.layers]
    for name in names:
        if name not in layers:
            near = difflib.get_close_matches(str(name), points)
            raise ValueError(
                f"The model has no layer {name!r} to cut after. "
                + (
                    f"Similar cut points: {near}"
                    if near
                    else f"Cut points: {_shortened(list(points))}"
                )
            )
        if name not in points:
            place = layers.index(name)
            rest = sorted(
                points, key=lambda point: abs(layers.index(point) - place)
            )
            raise ValueError(
                f"The model cannot be cut after {name!r}: more than one "
                f"tensor crosses there. Nearest valid cut points: {rest[:6]}"
            )
    return sorted(names, key=list(points).index)


def _even_cuts(model, points, number):
    """The names of `number - 1` cut points that share out the weights."""
    # Of the points between two layers with weights, the last: after the
    # activation. Every block then has weights.
    last_with = {
        keras.Model(model.inputs, tensor).count_params(): name
        for name, tensor in points.items()
    }
    total = model.count_params()
    candidates = [
        (weights, name)
        for weights, name in sorted(last_with.items())
        if 0 < weights < total
    ]
    if not 1 <= number <= len(candidates) + 1:
        raise ValueError(
            f"The model cannot be cut into {number} blocks with weights, only "
            f"into 1 to {len(candidates) + 1}. It can be cut after "
            f"{_shortened([name for _, name in candidates])}"
        )
    chosen, first = [], 0
    for i in range(1, number):
        # Leave enough points for the cuts that are still to come.
        last = len(candidates) - (number - 1 - i)
        best = min(
            range(first, last),
            key=lambda j: abs(candidates[j][0] - total * i / number),
        )
        chosen.append(candidates[best][1])
        first = best + 1
    return chosen


def _shortened(names):
    return str(names) if len(names) < 10 else f"{names[:9]} and others"
