import keras
from keras import tree

from keras_ff.dtypes import at_least_float32
from keras_ff.keras_private import producer
from keras_ff.layers import LocalLayer
from keras_ff.models.check_heads import check_shapes
from keras_ff.models.graph import check_not_trainable


def connect(model_class, layers, inputs, outputs, options):
    """The inputs and the combined prediction of a new model.

    Args:
        model_class: the model's class.
        layers: list of its layers, or `None`.
        inputs, outputs: a graph in their place, or `None`.
        options: dict of the arguments of the layer that combines goodness.

    Returns:
        Symbolic inputs, and the symbolic combined prediction.
    """
    kind, readout_class = model_class.__name__, model_class._readout_class
    if layers is not None:
        inputs, goodness = _chain(layers)
    else:
        goodness = [] if outputs is None else tree.flatten(outputs)
    if not goodness:
        raise ValueError(
            f"A {kind} needs the goodness of at least one local layer. "
            "Received: none"
        )
    if len(goodness) == 1 and isinstance(producer(goodness[0]), readout_class):
        # Loading and cloning give the prediction itself.
        return inputs, goodness[0]
    model_class._check_goodness(goodness)
    check_shapes(goodness)
    dtype = at_least_float32(*(x.dtype for x in goodness))
    return inputs, readout_class(dtype=dtype, **options)(goodness)


def _chain(layers):
    """Connects a list of layers; returns its input and all goodness."""
    if not isinstance(layers, (list, tuple)) or not layers:
        raise TypeError(
            "`layers` must be a list that starts with keras.Input(shape). "
            f"Received: {layers!r}"
        )
    first, *layers = layers
    if isinstance(first, keras.layers.InputLayer):
        first = first.output
    if not isinstance(first, keras.KerasTensor):
        raise ValueError(
            "The first element of `layers` must be keras.Input(shape). "
            f"Received: {first!r}"
        )
    features, goodness = first, []
    for layer in layers:
        if isinstance(layer, LocalLayer):
            features, scores = layer(features)
            goodness.append(scores)
        elif isinstance(layer, keras.Layer):
            features = layer(features)
            check_not_trainable(layer)
        else:
            raise TypeError(
                "`layers` must hold Keras layers after keras.Input. "
                f"Received: {layer!r} of type {type(layer).__name__}"
            )
    if goodness and not isinstance(layer, LocalLayer):
        raise ValueError(
            "The last of `layers` must be a local layer: nothing uses what "
            f"comes after it. Received: {layer}"
        )
    return first, goodness
