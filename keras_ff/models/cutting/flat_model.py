from typing import Any
from typing import NamedTuple

import keras
from keras import tree

from keras_ff import keras_private
from keras_ff.keras_private import producer
from keras_ff.models.cutting.cut_points import running_nodes
from keras_ff.models.cutting.layer_chain import layer_chain
from keras_ff.models.cutting.run_again import call_layer
from keras_ff.models.cutting.run_again import call_masked
from keras_ff.models.cutting.run_again import call_unmasked
from keras_ff.models.cutting.run_again import masks_of
from keras_ff.models.cutting.run_again import run_again
from keras_ff.models.forward_only_model import ForwardOnlyModel


class FlatModel(NamedTuple):
    """A model in which no other is nested, and no mask is an argument.

    Attributes:
        graph: a functional Keras model.
        nested: dict from the name of a model that was nested to its output.
        masked: bool, whether its tensors have masks. Those are no part of
            the graph: they would cross wherever it could be cut. When it is
            called they go with the features.
    """

    graph: Any
    nested: dict
    masked: bool

    def part(self, start, inputs, end, name):
        """Some of its layers as a functional model.

        Args:
            start, end: `CutPoint`s between which the layers are.
            inputs: list of the model's inputs that they use.
            name: string.
        """
        nodes = running_nodes(self.graph)[start.number : end.number]
        given = [] if start.tensor is None else [start.tensor]
        given += inputs
        fresh = [_like(x) for x in given]
        tensors = dict(zip(map(id, given), fresh))
        run_again(nodes, tensors, call_masked if self.masked else call_layer)
        return keras.Model(
            fresh if len(fresh) > 1 else fresh[0],
            tensors[id(end.tensor)],
            name=name,
        )


def flat_model(model):
    """The layers of a model and of the models in it, as one graph.

    They are the model's own layers: nothing is copied. A nested model stays
    one layer if it has names that are taken, or a `call` of its own that does
    more than to call one layer after the other; a layer that does no more
    than this is looked into, too.

    Args:
        model: a functional or a built sequential Keras model.

    Returns:
        A `FlatModel`.

    Raises:
        TypeError: if the model is neither functional nor sequential, or a
            `ForwardOnlyModel`.
        ValueError: if it has several outputs, or ends in a softmax.
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
    if len(graph.outputs) != 1:
        raise ValueError(
            "`model` must have one output: take the one whose features the "
            "last block is to give, keras.Model(model.input, features). "
            f"Received: {len(graph.outputs)} outputs, "
            f"{tree.map_structure(lambda x: x.shape, graph.output)}"
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
        return keras.Model(*model.inputs, *model.outputs, name=model.name)
    return model if keras_private.is_functional(model) else None


def _flattened(graph):
    taken = {layer.name for layer in graph.layers}
    nested = {}

    def call(layer, args, kwargs):
        inputs = args[0] if args else kwargs.get("inputs")
        given = [x for x in tree.flatten([args, kwargs]) if x is not None]
        inner = _inside(layer, given, taken)
        if inner is None:
            return call_layer(layer, args, kwargs)
        taken.update(_names(inner))
        tensors = dict(zip(map(id, inner.inputs), tree.flatten(inputs)))
        run_again(running_nodes(inner), tensors, call)
        outputs = [tensors[id(x)] for x in inner.outputs]
        nested[layer.name] = outputs[0]
        return outputs

    if any(
        _inside(node.operation, node.input_tensors, taken) is not None
        for node in running_nodes(graph)
    ):
        graph, _ = _made_again(graph, call)
    masked = bool(masks_of(running_nodes(graph)))
    if masked:
        graph, tensors = _made_again(graph, call_unmasked)
        nested = {name: tensors[id(x)] for name, x in nested.items()}
    return FlatModel(graph, nested, masked)


def _made_again(graph, call):
    """A graph whose layers were called once more, and its new tensors."""
    inputs, (end,) = inputs_like(graph), graph.outputs
    tensors = dict(zip(map(id, graph.inputs), tree.flatten(inputs)))
    run_again(running_nodes(graph), tensors, call)
    return keras.Model(inputs, tensors[id(end)], name=graph.name), tensors


def inputs_like(graph):
    """New inputs like those of a graph; one is in no list."""
    return tree.map_structure(
        lambda x: _like(x, x.name),
        graph.input if len(graph.inputs) > 1 else graph.inputs[0],
    )


def _like(x, name=None):
    return keras.Input(x.shape[1:], dtype=x.dtype, name=name)


def _inside(layer, arguments, taken):
    """A graph that can take the place of a layer, or `None`.

    Args:
        layer: a Keras layer, or an operation.
        arguments: list of what it is called with.
        taken: set of names that layers of the graph must not have.
    """
    graph = None
    if keras_private.runs_as_graph(layer):
        graph = _functional(layer)
    elif isinstance(layer, keras.Layer) and len(arguments) == 1:
        graph = layer_chain(layer, *arguments)
    if graph is None or _names(graph) & taken:
        return None
    return graph


def _names(model):
    return {
        layer.name
        for layer in model.layers
        if not isinstance(layer, keras.layers.InputLayer)
    }
