import difflib
import itertools
from collections.abc import Callable
from collections.abc import Sequence

import keras
from keras import tree

from keras_ff.checks import check_maker
from keras_ff.checks import is_integer
from keras_ff.contributions import Contribution
from keras_ff.keras_private import producer
from keras_ff.layers import GoodnessProjection
from keras_ff.layers import LocalBlock
from keras_ff.models.cutting.cut_plan import plan_of
from keras_ff.models.cutting.cut_plan import shortened
from keras_ff.models.cutting.cut_points import CutPoint
from keras_ff.models.cutting.cut_points import cut_points
from keras_ff.models.cutting.cut_points import inputs_between
from keras_ff.models.cutting.cut_points import running_nodes
from keras_ff.models.cutting.flat_model import flat_model
from keras_ff.models.cutting.flat_model import inputs_like
from keras_ff.models.forward_only_model import ForwardOnlyModel


def localize(
    model: keras.Model,
    num_classes: int,
    cut: int | str | Sequence[str] = 4,
    goodness: Callable[[int], keras.layers.Layer] | None = None,
    by: str = "memory",
    batch_size: int = 64,
    *,
    contribution: Contribution | None = None,
    layer_clipnorm: float | None = None,
    layer_metrics: bool = False,
    name: str | None = None,
) -> ForwardOnlyModel:
    """Makes a forward-only model of any functional Keras model.

    The model is cut where a single tensor crosses (so never inside a residual
    block); the parts become local blocks, each with a goodness head.
    Backpropagation runs inside a block only, and the memory of a training
    step is that of the largest block. Models nested in the model, as transfer
    learning makes them, are looked into, and so are layers that do nothing but
    call others one after the other.

    The blocks share their layers, and so their weights, with the given model.
    Blocks that are frozen (`layer.trainable = False`) before they ever
    learned, like the front of a pretrained network, do not count in the
    prediction: nothing has trained their heads.

    Args:
        model: a functional or a built sequential Keras model with one output,
            without its classification top (`include_top=False`). Of several
            inputs, such as the padding mask of a transformer, each block
            gets those that it uses.
        num_classes: int, at least 2.
        cut: where to cut. An int is the number of blocks, which
            `keras_ff.models.cut_plan` lays out; a list holds the names of the
            layers after which to cut. Defaults to `4`.
        goodness: function `num_classes -> goodness head`, or the class of
            one, called once a block. Defaults to
            `keras_ff.layers.GoodnessProjection`.
        by: what a number of blocks makes even: `"memory"`, so that the
            largest needs the least, or `"weights"`. Defaults to `"memory"`.
        batch_size: int, samples of a step, as `cut_plan` counts them.
            Defaults to `64`.
        contribution, layer_clipnorm, layer_metrics, name: as in
            `ForwardOnlyModel`.

    Returns:
        A `ForwardOnlyModel`.

    Raises:
        TypeError: if the model is neither functional nor sequential, or a
            `ForwardOnlyModel`, or `cut` or `goodness` is of another type.
        ValueError: if the model has several outputs, ends in a softmax,
            or cannot be cut where or as often as asked; the message
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
    flat = flat_model(model)
    graph, points = flat.graph, cut_points(flat.graph)
    if is_integer(cut):
        names = plan_of(graph, int(cut), by, batch_size).cut
    else:
        names = _named_cuts(flat, points, cut)
    make_head = goodness or GoodnessProjection
    check_maker(
        "goodness",
        make_head,
        "the goodness head of each block",
        "lambda num_classes: GoodnessProjection(num_classes)",
    )
    end = CutPoint(graph.outputs[0], len(running_nodes(graph)))
    borders = [CutPoint(None, 0), *(points[name] for name in names), end]
    inputs = inputs_like(graph)
    given = dict(zip(map(id, graph.inputs), tree.flatten(inputs)))
    features, outputs = [], []
    for i, (start, end) in enumerate(itertools.pairwise(borders)):
        used = inputs_between(graph, start, end)
        part = flat.part(start, used, end, f"part_{i}")
        block = LocalBlock(part, make_head(num_classes), name=f"block_{i}")
        taken = [*features, *(given[id(x)] for x in used)]
        x, scores = block(taken if len(taken) > 1 else taken[0])
        features = [x]
        outputs.append(scores)
    return ForwardOnlyModel(
        inputs,
        outputs,
        contribution=contribution,
        layer_clipnorm=layer_clipnorm,
        layer_metrics=layer_metrics,
        name=name,
    )


def _named_cuts(flat, points, cut):
    """The given cut points, checked, in the order of the layers."""
    names = [cut] if isinstance(cut, str) else cut
    if not isinstance(names, (list, tuple)):
        raise TypeError(
            "`cut` must be a number of blocks or a list of layer names. "
            f"Received: cut={cut!r}"
        )
    # A nested model ends where its last layer does.
    last = {name: producer(x).name for name, x in flat.nested.items()}
    names = [last.get(name, name) for name in names]
    if len(set(names)) < len(names):
        raise ValueError(f"`cut` names a layer twice. Received: cut={cut}")
    layers = [layer.name for layer in flat.graph.layers]
    for name in names:
        if name not in layers:
            near = difflib.get_close_matches(str(name), points)
            raise ValueError(
                f"The model has no layer {name!r} to cut after. "
                + (
                    f"Similar cut points: {near}"
                    if near
                    else f"Cut points: {shortened(list(points))}"
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
