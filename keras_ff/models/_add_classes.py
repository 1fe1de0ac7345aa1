import keras

from keras_ff.checks import check_integer
from keras_ff.keras_private import all_layers
from keras_ff.layers.composite_layer import serialize_part
from keras_ff.models.copy_values import copy_values
from keras_ff.models.forward_only_model import ForwardOnlyModel
from keras_ff.models.unregistered import unregistered


def add_classes(model: keras.Model, number: int) -> ForwardOnlyModel:
    """A new model that knows more classes, for learning one task after another.

    Its layers, statistics, epoch, contribution and options are those of the
    given model, and so are its scores of the old classes. The weights are
    copies: training the one does not change the other. The new classes come
    last; their prototypes, or columns, start as the head's initializer says.
    `adapt_prototypes` puts prototypes at class means: with samples of the new
    classes alone, it leaves the old ones as they are.

    A compiled model is compiled alike, and its optimizer goes on: with the
    state that it had, and that of a start for the new classes.

    Nothing is replayed. `fit` on new classes alone makes a model forget old
    ones, see `guides/continual_and_few_labels.py`.

    Args:
        model: a `ForwardOnlyModel` whose heads are
            `keras_ff.layers.HypersphericalPrototypes`, `GoodnessProjection`,
            an `AuxiliaryHead` around one of them, or others with
            `independent_classes`.
        number: int, how many classes to add.

    Returns:
        A `ForwardOnlyModel`.

    Raises:
        TypeError: if `model` is not a `ForwardOnlyModel`, or `number` not an
            int.
        ValueError: if `number` is below 1, the model does not tell classes
            apart (regression, one logit), or a head cannot take more.

    Example:

    ```python
    model.fit(x_old, y_old, epochs=5)  # classes 0 and 1
    model = keras_ff.models.add_classes(model, 2)
    keras_ff.models.adapt_prototypes(model, x_new, y_new)  # 2 and 3
    ```
    """
    if not isinstance(model, ForwardOnlyModel):
        raise TypeError(
            "`model` must be a ForwardOnlyModel. Received: "
            f"{model!r} of type {type(model).__name__}"
        )
    check_integer("number", number, minimum=1)
    if model.task == "regression" or model.num_classes == 1:
        raise ValueError(
            "Only a model that scores classes can take more of them. "
            f"Received: one of {model.task}, with {model.num_classes} "
            "column(s). Make a new model."
        )
    for layer in model.local_layers:
        _check_grows(layer)
    config = keras.saving.serialize_keras_object(model)
    layers = {layer.name: layer for layer in model.local_layers}
    for part in config["config"]["layers"]:
        if part["name"] in layers:
            _grow(part["config"], layers[part["name"]], int(number))
    with unregistered(model):
        grown = keras.saving.deserialize_keras_object(config)
    copy_values(model.weights, grown.weights)
    copy_values(model._seed_states(), grown._seed_states())
    if not model.trainable:
        grown.trainable = False
    if model.compiled and model.optimizer.built:
        grown._build_optimizer()
        copy_values(model.optimizer.variables, grown.optimizer.variables)
    return grown


def _check_grows(layer):
    """Raises if the head of a local layer cannot take more classes."""
    head = layer.head
    if not getattr(head, "independent_classes", False):
        while hasattr(head, "head"):
            head = head.head
        raise ValueError(
            f"Layer '{layer.name}' cannot take more classes: in "
            f"{type(head).__name__}, as far as is known, classes share "
            "channels, and one more changes the scores of the others. Use "
            "HypersphericalPrototypes or GoodnessProjection, make the model "
            "for all classes from the start, or, if the head is your own and "
            "scores each class by itself, set its `independent_classes = True`."
        )
    for part in all_layers(head):
        if part.quantization_mode is not None:
            raise ValueError(
                f"The head of layer '{layer.name}' is quantized "
                f"({part.quantization_mode}), and new classes could not be "
                "learned. Add classes before `quantize`."
            )


def _grow(config, layer, number):
    """Changes the config of a local layer to that of one of more classes."""
    if config.get("normalization") == "group":
        # As many groups as there were classes.
        config["normalization"] = serialize_part(layer.normalization, layer)
    found = _head_config(config)
    if "num_classes" not in found:
        raise ValueError(
            f"Layer '{layer.name}' ({type(layer).__name__}) cannot take more "
            "classes: its `get_config()` has no `num_classes`, nor a "
            f"`goodness` that has. Received: {list(config)}"
        )
    found["num_classes"] += number


def _head_config(config):
    """The part of a config that says how many classes there are."""
    for name in ("goodness", "head"):
        if isinstance(config.get(name), dict):
            return _head_config(config[name]["config"])
    return config
