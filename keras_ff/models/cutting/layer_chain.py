import inspect

import keras

from keras_ff import keras_private
from keras_ff.models.cutting.cut_points import running_nodes


def layer_chain(layer, x):
    """The layers that a layer calls one after the other, and nothing else.

    As the encoders of keras-hub's vision transformers do with their blocks.
    Keras's own layers are not asked.

    Args:
        layer: a built Keras layer.
        x: symbolic tensor, what it is called with.

    Returns:
        A functional model of these very layers, or `None` where the layer
        computes anything itself, has weights of its own, or depends on how
        it is called.
    """
    parts = keras_private.own_layers(layer)
    parameters = list(inspect.signature(layer.call).parameters)
    if (
        len(parts) < 2
        or type(layer).__module__.startswith("keras.")
        or len(set(parameters) - {"training"}) != 1
        or layer.activity_regularizer is not None
        or any(part.compute_dtype != layer.compute_dtype for part in parts)
    ):
        return None
    options = [{}]
    if "training" in parameters:
        options = [{"training": None}, {"training": True}]
    try:
        # Keras records what a `call` does with a symbolic tensor.
        graphs = [_recorded(layer, x, **each) for each in options]
    except Exception:
        return None
    first, *others = ([n.operation for n in running_nodes(g)] for g in graphs)
    (graph, *_) = graphs
    one_by_one = all(
        isinstance(node.operation, keras.Layer)
        and len(node.input_tensors) == len(node.outputs) == 1
        for node in running_nodes(graph)
    )
    same_variables = _variables(graph) == _variables(layer)
    if one_by_one and same_variables and all(each == first for each in others):
        return graph
    return None


def _recorded(layer, x, **kwargs):
    x = keras.Input(x.shape[1:], dtype=x.dtype)
    return keras.Model(x, layer.call(x, **kwargs))


def _variables(layer):
    return {id(variable) for variable in layer.variables}
