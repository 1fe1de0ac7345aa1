from typing import Any
from typing import NamedTuple

import keras
from keras import tree

from keras_ff import keras_private
from keras_ff.keras_private import producer
from keras_ff.models.forward_only_model import ForwardOnlyModel


class FlatModel(NamedTuple):
    """A model in which no other is nested.

    Attributes:
        graph: a functional Keras model.
        nested: dict from the name of a model that was nested to its output.
    """

    graph: Any
    nested: dict


def flat_model(model):
    """The layers of a model and of the models in it, as one graph.

    They are the model's own layers: nothing is copied. A nested model stays
    one layer if it has several inputs, a `call` of its own, or names that
    are taken.

    Args:
        model: a functional or a built sequential Keras model.

    Returns:
        A `FlatModel`.

    Raises:
        TypeError: if the model is neither functional nor sequential, or a
            `ForwardOnlyModel`.
        ValueError: if it has several inputs or outputs, or ends in a softmax.
    """
    graph = _functional(model)
    if graph is None:
        raise TypeError(
            "`model` must be a functional or a built sequential Keras model. "
            f"Received: {model!r} of type {type(model).__name__}"
        )
    if isinstance(model, ForwardOnlyModel):
        raise TypeError(
            "The model is made of local layers already. Received: "
            f"{type(model).__name__} '{model.name}'"
        )
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise ValueError(
            "`model` must have one input and one output. Received: "
            f"{len(graph.inputs)} inputs, {len(graph.outputs)} outputs"
        )
    flat = _flattened(graph)
    last = producer(flat.graph.outputs[0])
    if getattr(last, "activation", None) is keras.activations.softmax:
        raise ValueError(
            f"The model ends in a softmax ('{last.name}'): every block gets a "
            "head of its own. Give it without its classification top "
            "(include_top=False)."
        )
    return flat


def _functional(model):
    """A model as a graph, or `None` if it is none."""
    if isinstance(model, keras.Sequential) and model.built:
        return keras.Model(model.inputs, model.outputs, name=model.name)
    return model if keras_private.is_functional(model) else None


def _flattened(graph):
    taken = {layer.name for layer in graph.layers}
    if not any(_opens(layer, taken) for layer in graph.layers):
        return FlatModel(graph, {})
    nested = {}
    (given,) = graph.inputs
    start = keras.Input(given.shape[1:], dtype=given.dtype, name=given.name)
    (end,) = _run(graph, [start], taken, nested)
    return FlatModel(keras.Model(start, end, name=graph.name), nested)


def _run(graph, inputs, taken, nested):
    """Calls the layers of a graph again, those of nested models one by one."""
    tensors = {id(x): value for x, value in zip(graph.inputs, inputs)}
    for node in keras_private.nodes(graph):
        if node.is_input:
            continue
        layer = node.operation
        args, kwargs = keras_private.call_arguments(node, tensors)
        if _opens(layer, taken):
            taken |= _names(layer)
            value, *_ = tree.flatten((args, kwargs))
            outputs = _run(_functional(layer), [value], taken, nested)
            nested[layer.name] = outputs[0]
        else:
            outputs = tree.flatten(layer(*args, **kwargs))
        for symbol, value in zip(node.outputs, outputs):
            tensors[id(symbol)] = value
    return [tensors[id(symbol)] for symbol in graph.outputs]


def _opens(layer, taken):
    """Whether a layer is a model whose layers can take its place."""
    if not keras_private.runs_as_graph(layer) or len(layer.inputs) != 1:
        return False
    return not _names(layer) & taken


def _names(model):
    return {
        layer.name
        for layer in model.layers
        if not isinstance(layer, keras.layers.InputLayer)
    }
