import itertools

from keras_ff.models.cutting.cut_points import cut_points
from keras_ff.models.cutting.cut_points import running_nodes
from keras_ff.models.cutting.layer_cost import kernels
from keras_ff.models.cutting.layer_cost import num_bytes


def unit_ends(graph):
    """The cut points that separate nothing that belongs together.

    A layer with a kernel belongs to the normalization, the activation and
    whatever else keeps its map's shape that follow it. Of the points between
    two such layers it is the one with the smallest tensor.

    Args:
        graph: a functional Keras model.

    Returns:
        Dict from names to `CutPoint`s, in the order of the layers.
    """
    nodes = running_nodes(graph)
    users = {}
    for node in nodes:
        for key in {id(x) for x in node.input_tensors}:
            users.setdefault(key, []).append(node)
    counts = [0]
    counts += itertools.accumulate(
        bool(kernels(node.operation)) for node in nodes
    )
    found = {}
    for name, point in cut_points(graph).items():
        count = counts[point.number]
        if not 0 < count < counts[-1] or _goes_on(point.tensor, users):
            continue
        _, best = found.get(count, (name, point))
        if num_bytes(point.tensor) <= num_bytes(best.tensor):
            found[count] = name, point
    return dict(found.values())


def _goes_on(tensor, users):
    """Whether a normalization, an activation or the like follows."""
    while len(users.get(id(tensor), ())) == 1:
        (node,) = users[id(tensor)]
        if kernels(node.operation) or len(node.input_tensors) > 1:
            return False
        (output, *_) = node.outputs
        if output.shape == tensor.shape:
            return True
        # Pooling, padding or a new shape: see what comes after.
        tensor = output
    return False
