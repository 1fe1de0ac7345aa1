import contextlib
from collections.abc import Callable
from collections.abc import Sequence

from keras_ff import keras_private
from keras_ff.keras_private import all_layers
from keras_ff.keras_private import own_layers
from keras_ff.layers import LocalLayer
from keras_ff.layers.composite_layer import CompositeLayer
from keras_ff.models.weight import Weight


class FullSummary(keras_private.ModelMixin):
    """A model whose summary leaves out no part of a local layer."""

    def summary(
        self,
        line_length: int | None = None,
        positions: Sequence[float] | None = None,
        print_fn: Callable[..., None] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Sequence[str] | None = None,
    ) -> None:
        """Prints a summary, as in `keras.Model`.

        With `expand_nested=True` it shows what local layers are made of, heads
        and normalizations too.
        """
        with _all_parts_shown(self):
            super().summary(
                line_length,
                positions,
                print_fn,
                expand_nested,
                show_trainable,
                layer_range,
            )


@contextlib.contextmanager
def _all_parts_shown(model):
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
