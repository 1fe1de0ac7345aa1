import contextlib
import math

from keras_ff.keras_private import all_layers
from keras_ff.keras_private import own_layers
from keras_ff.keras_private import show_shape
from keras_ff.layers import LocalLayer
from keras_ff.layers.composite_layer import CompositeLayer


@contextlib.contextmanager
def all_parts_shown(model):
    """Lets Keras's summary show all that local layers are made of.

    It looks for parts in `layers`, where a local layer has those up to its
    activation: no head and no normalization.
    """
    layers = [x for x in all_layers(model) if isinstance(x, CompositeLayer)]
    hidden = [
        (layer.__dict__, layer.__dict__.get("layers")) for layer in layers
    ]
    shown = [_parts(layer) for layer in layers]
    try:
        for (attributes, _), parts in zip(hidden, shown):
            attributes["layers"] = parts
        yield
    finally:
        for attributes, parts in hidden:
            attributes["layers"] = parts
            if parts is None:
                del attributes["layers"]


def _parts(layer):
    """The parts of a layer, and the weights that none of them has."""
    parts = list(own_layers(layer))
    if isinstance(layer, LocalLayer):
        order = [*layer.layers, layer.head, layer.normalization]
        parts = [part for part in order if part is not None] + parts
    parts = list({id(part): part for part in parts}.values())
    known = {id(weight) for part in parts for weight in part.weights}
    own = [weight for weight in layer.weights if id(weight) not in known]
    return parts + [Weight(weight) for weight in own] if parts else []


class Weight:
    """A weight as a row of a summary: what that asks layers.

    Args:
        variable: the weight.
    """

    built = True

    def __init__(self, variable):
        self.name = variable.name
        self.weights = [variable]
        self.trainable = variable.trainable
        show_shape(self, variable)

    def count_params(self):
        (variable,) = self.weights
        return math.prod(variable.shape)
