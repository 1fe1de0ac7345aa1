from typing import Any
from typing import NamedTuple

from keras_ff import keras_private


class CutPoint(NamedTuple):
    """A place where one tensor alone crosses.

    Attributes:
        tensor: the symbolic tensor, the output of a layer; `None` at the
            start of the model.
        number: int, how many layers come before, this one included.
    """

    tensor: Any
    number: int


def running_nodes(graph):
    """The nodes of a functional model that are no inputs, as they run."""
    return [node for node in keras_private.nodes(graph) if not node.is_input]


def cut_points(graph):
    """Where a functional model can be cut: one tensor alone crosses.

    Inputs of the model do not count, such as a mask that every layer uses:
    each block can have them again.

    Args:
        graph: a functional Keras model.

    Returns:
        Dict from the name of a layer to a `CutPoint`, in the order of the
        layers. The model's input and its output are not among them.
    """
    nodes = keras_private.nodes(graph)
    uses = {}
    for node in nodes:
        for symbol in {id(x): x for x in node.input_tensors}.values():
            uses[id(symbol)] = uses.get(id(symbol), 0) + 1
    for symbol in graph.outputs:
        uses[id(symbol)] = uses.get(id(symbol), 0) + 1
    open_tensors, points, number = {}, {}, 0
    inputs = {id(x) for x in graph.inputs}
    for node in nodes:
        for key in {id(x) for x in node.input_tensors}:
            open_tensors[key] -= 1
            if not open_tensors[key]:
                del open_tensors[key]
        for symbol in node.outputs:
            if id(symbol) in uses:
                open_tensors[id(symbol)] = uses[id(symbol)]
        if node.is_input:
            continue
        number += 1
        (first, *_) = node.outputs
        alone = set(open_tensors) - inputs == {id(first)}
        if alone and first is not graph.outputs[0]:
            points[node.operation.name] = CutPoint(first, number)
    return points


def inputs_between(graph, start, end):
    """The inputs of a functional model that the layers between cuts take.

    Args:
        graph: a functional Keras model.
        start, end: `CutPoint`s.

    Returns:
        List of symbolic tensors.
    """
    used = {
        id(x)
        for node in running_nodes(graph)[start.number : end.number]
        for x in node.input_tensors
    }
    return [x for x in graph.inputs if id(x) in used]
