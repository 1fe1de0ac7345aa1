import keras
from keras import tree

from keras_ff import keras_private
from keras_ff.layers.copy_with_mask import CopyWithMask
from keras_ff.layers.masks import ATTENTION


def run_again(nodes, tensors, call):
    """Calls layers of a functional model on other symbolic tensors.

    Args:
        nodes: the nodes of the layers, in the order they run.
        tensors: dict from the identities of the tensors that they start from
            to others. Their outputs are added to it.
        call: function of a layer, its arguments and its keyword arguments,
            which gives its outputs as a list. The masks that Keras made are
            left out: it takes those of the new tensors.
    """
    masks = masks_of(nodes)
    tensors.update(dict.fromkeys(masks))
    for node in nodes:
        if masks.issuperset(map(id, node.outputs)):
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


def masks_of(nodes):
    """The identities of the masks that Keras made for the nodes' tensors."""
    outputs = [x for node in nodes for x in node.outputs]
    masks = map(keras_private.mask_of, outputs)
    return {id(mask) for mask in masks if mask is not None}
