import keras
from keras import activations

from keras_ff import keras_private

_PROBABILITIES = (activations.softmax, activations.sigmoid)


def check_shapes(tensors):
    """Raises if symbolic goodness is no row of as many scores everywhere."""
    columns = {}
    for tensor in tensors:
        layer = keras_private.producer(tensor)
        name = getattr(layer, "name", tensor.name)
        shape = tuple(tensor.shape)
        if len(shape) != 2 or shape[1] is None:
            raise ValueError(
                "The goodness of a layer must have the shape (batch, "
                f"num_classes). Received: {shape} from '{name}'. FFDense "
                "layers belong into a ForwardForwardModel; a score for every "
                "position (segmentation) is not supported."
            )
        columns[name] = shape[1]
    if len(set(columns.values())) > 1:
        raise ValueError(
            "All layers must have the same `num_classes`: they learn one "
            "target. Received: "
            + ", ".join(f"'{k}' has {v}" for k, v in columns.items())
            + ". Several targets need a model each."
        )


def check_logits(heads):
    """Raises if goodness that is used as logits is made of probabilities.

    Args:
        heads: dict from the names of layers to what scores their goodness.
    """
    for name, head in heads.items():
        last = _last(head)
        activation = getattr(last, "activation", None)
        if isinstance(last, keras.layers.Softmax):
            activation = activations.softmax
        if activation in _PROBABILITIES:
            raise ValueError(
                "Goodness is used as logits. Received: a "
                f"{activation.__name__} as the activation of '{last.name}', "
                f"the goodness head of '{name}'. Leave it out (activation="
                "None); `predict` then gives logits, and keras.ops."
                f"{activation.__name__} makes probabilities of them."
            )


def _last(layer):
    """The layer whose output is that of a layer, or of a model."""
    if isinstance(layer, keras.Sequential):
        return _last(layer.layers[-1])
    if keras_private.is_functional(layer) and len(layer.outputs) == 1:
        return _last(keras_private.producer(layer.outputs[0]))
    return layer
