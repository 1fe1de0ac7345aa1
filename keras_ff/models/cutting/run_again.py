import keras
from keras import tree

from keras_ff import keras_private
from keras_ff.layers.copy_with_mask import CopyWithMask
from keras_ff.layers.masks import ATTENTION


def run_again(graph, inputs, call):
    """Calls the layers of a functional model on other symbolic tensors.

    Args:
        graph: a functional Keras model.
        inputs: list of symbolic tensors, for its inputs.
        call: function of a layer, its arguments and its keyword arguments,
            which gives its outputs as a list. The masks that Keras made are
            left out: it takes those of the new tensors.

    Returns:
        Dict from the identities of its tensors to the new ones.
    """
    tensors = {id(x): value for x, value in zip(graph.inputs, inputs)}
    masks = masks_of(graph)
    tensors.update(dict.fromkeys(masks))
    for node in keras_private.nodes(graph):
        if node.is_input or masks.issuperset(map(id, node.outputs)):
            continue
        args, kwargs = keras_private.call_arguments(node, tensors)
        # A layer that is told of none takes that of its tensor.
        kwargs = {
            name: value
            for name, value in kwargs.items()
            if value is not None or not name.endswith("mask")
        }
        outputs = call(node.operation, args, kwargs)
        for symbol, value in zip(node.outputs, outputs):
            tensors[id(symbol)] = value
    return tensors


def call_layer(layer, args, kwargs):
    """Calls a layer; gives its outputs as a list."""
    return tree.flatten(layer(*args, **kwargs))


def call_unmasked(layer, args, kwargs):
    """As `call_layer`, of whose outputs none has a mask."""
    outputs = call_layer(layer, args, kwargs)
    for output in outputs:
        keras_private.attach_mask(output, None)
    return outputs


def call_masked(layer, args, kwargs):
    """As `call_layer`, for tensors that will have masks."""
    if isinstance(layer, ATTENTION):
        args, kwargs = tree.map_structure(_copy, (args, kwargs))
    return call_layer(layer, args, kwargs)


def _copy(x):
    return CopyWithMask()(x) if isinstance(x, keras.KerasTensor) else x


def masks_of(graph):
    """The identities of the masks that Keras made for a graph's tensors."""
    outputs = [x for node in keras_private.nodes(graph) for x in node.outputs]
    masks = map(keras_private.mask_of, outputs)
    return {id(mask) for mask in masks if mask is not None}
