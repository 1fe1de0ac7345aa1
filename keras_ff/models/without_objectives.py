import keras

from keras_ff.layers import LocalLayer
from keras_ff.models.copy_values import copy_values
from keras_ff.models.unregistered import unregistered


def without_objectives(model):
    """A model as it predicts, without what its layers only learn by.

    Args:
        model: a `ForwardOnlyModel`.

    Returns:
        The model itself if its layers have no local objectives; otherwise a
        copy that has none. Of parts that layers share it has several.
    """
    if not any(layer.objectives for layer in model.local_layers):
        return model
    with unregistered(model):
        copy = keras.models.clone_model(model, clone_function=_copy)
    for layer, original in zip(copy.layers, model.layers, strict=True):
        copy_values(_variables(original), _variables(layer))
    return copy


def _copy(layer):
    if not isinstance(layer, LocalLayer):
        return type(layer).from_config(layer.get_config())
    # The copy only predicts: its parts need not be shared.
    shared, layer._shared = layer._shared, ()
    try:
        config = layer.get_config()
    finally:
        layer._shared = shared
    config.pop("objectives", None)
    names = tuple(objective.name for objective in layer.objectives)
    # What was done to them.
    config["sublayers"] = {
        path: change
        for path, change in config.get("sublayers", {}).items()
        if path.split("/")[0] not in names
    }
    return type(layer).from_config(config)


def _variables(layer):
    """The variables that a layer predicts by, shared ones as often as held."""
    if not isinstance(layer, LocalLayer):
        return layer.variables
    parts = [*layer.layers, layer.head, layer.normalization]
    found = [v for part in parts if part is not None for v in part.variables]
    others = [v for part in layer.objectives for v in part.variables]
    known = {id(v) for v in (*found, *others)}
    return found + [v for v in layer.variables if id(v) not in known]
