import keras
from keras import ops

from keras_ff.layers import LocalLayer
from keras_ff.models.unregistered import unregistered


def without_objectives(model):
    """A model as it predicts, without what its layers only learn by.

    Args:
        model: a `ForwardOnlyModel`.

    Returns:
        The model itself if its layers have no local objectives; otherwise a
        copy that has none.
    """
    objectives = [x for layer in model.local_layers for x in layer.objectives]
    if not objectives:
        return model
    left_out = {id(v) for x in objectives for v in x.variables}
    kept = [v for v in model.variables if id(v) not in left_out]
    with unregistered(model):
        copy = keras.models.clone_model(model, clone_function=_copy)
    for variable, original in zip(copy.variables, kept, strict=True):
        variable.assign(ops.convert_to_numpy(original))
    return copy


def _copy(layer):
    config = layer.get_config()
    if isinstance(layer, LocalLayer):
        config.pop("objectives", None)
        names = tuple(objective.name for objective in layer.objectives)
        # What was done to them.
        config["sublayers"] = {
            path: change
            for path, change in config.get("sublayers", {}).items()
            if path.split("/")[0] not in names
        }
    return type(layer).from_config(config)
