import re
from typing import NamedTuple

import keras

from keras_ff import keras_private
from keras_ff.layers.masks import ATTENTION

# Their weights are no kernels, of however many axes.
_ELEMENTWISE = (
    keras.layers.BatchNormalization,
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
    keras.layers.PReLU,
    keras.layers.RMSNormalization,
)


class LayerCost(NamedTuple):
    """What a layer costs.

    Attributes:
        weights: int, how many it has.
        activations: int, the bytes that it computes for one sample.
        multiplications: int, those of one sample's forward pass.
        gradients: int, the bytes of the gradients of its weights.
    """

    weights: int = 0
    activations: int = 0
    multiplications: int = 0
    gradients: int = 0


def layer_cost(node):
    """The cost of a layer where it is called.

    Every kernel meets every position of a map once; the parts of a layer that
    is made of layers are counted by their kernels. An axis of unknown length
    counts as one.

    Args:
        node: a node of a functional graph.

    Returns:
        A `LayerCost`.
    """
    layer = node.operation
    activations = sum(map(num_bytes, node.outputs))
    if not isinstance(layer, keras.Layer):
        return LayerCost(activations=activations)
    places = _positions(layer, node)
    parts = list(keras_private.all_layers(layer))
    leaves = [part for part in parts if not keras_private.own_layers(part)]
    multiplications = places * sum(map(_products, leaves))
    values = places * sum(map(_features, leaves))
    for part in parts:
        if isinstance(part, ATTENTION):
            heads, size = _heads(part)
            scores = places**2 * heads
            # With and without their softmax; by queries and keys, and values.
            values += 2 * scores
            multiplications += 2 * scores * size
    if leaves != [layer]:
        activations += values * _itemsize(layer.compute_dtype)
    gradients = sum(
        _size(weight.shape) * _itemsize(weight.dtype)
        for weight in layer.trainable_weights
    )
    return LayerCost(
        layer.count_params(), activations, multiplications, gradients
    )


def num_bytes(tensor):
    """The bytes of a symbolic tensor, for one sample."""
    return _size(tensor.shape[1:]) * _itemsize(tensor.dtype)


def kernels(layer):
    """The weights of a layer that mix features: no gains, no biases."""
    if not isinstance(layer, keras.Layer) or isinstance(layer, _ELEMENTWISE):
        return []
    return [weight for weight in layer.weights if len(weight.shape) > 1]


def _products(layer):
    """The multiplications of a layer at one position."""
    if isinstance(layer, keras.layers.Embedding):
        return 0
    return sum(_size(kernel.shape) for kernel in kernels(layer))


def _features(layer):
    """How many values a layer computes at one position, about."""
    largest = isinstance(layer, keras.layers.EinsumDense)
    return sum(
        max(kernel.shape) if largest else kernel.shape[-1]
        for kernel in kernels(layer)
    )


def _heads(attention):
    """The number of heads, and the length of a query."""
    if isinstance(attention, keras.layers.MultiHeadAttention):
        return attention.num_heads, attention.key_dim
    return attention.num_query_heads, attention.head_dim


def _positions(layer, node):
    """At how many places of a map or a sequence a layer does the same."""
    counts = [
        _places(symbol.shape, getattr(layer, "data_format", None))
        for symbol in (*node.input_tensors[:1], node.outputs[0])
    ]
    # Of a convolution's maps the smaller: with strides that is its output,
    # transposed its input.
    return (min if hasattr(layer, "kernel_size") else max)(counts)


def _places(shape, data_format):
    first = data_format == "channels_first" and len(shape) > 2
    return _size(shape[2:] if first else shape[1:-1])


def _size(shape):
    size = 1
    for length in shape:
        size *= length or 1
    return size


def _itemsize(dtype):
    bits = re.search(r"\d+", keras.backend.standardize_dtype(dtype))
    return int(bits.group()) // 8 if bits else 1
