"""Makes models and data of a configuration, and runs the graph by hand."""

import keras
import numpy as np
from keras import ops

from keras_ff import contributions
from keras_ff import layers
from keras_ff import losses
from keras_ff import models
from keras_ff import objectives


def make(configuration):
    """A compiled model with weights that depend on the seed alone."""
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(configuration["seed"])
    policy = configuration["policy"]
    keras.config.set_floatx("float64" if policy == "float64" else "float32")
    keras.config.set_dtype_policy(policy)
    if configuration["kind"] == "forward_forward":
        model = _forward_forward(configuration)
    else:
        model = models.ForwardOnlyModel(
            *_graph(configuration), **_options(configuration)
        )
    compile_model(model, configuration)
    rng = np.random.default_rng(configuration["seed"])
    for variable in model.trainable_variables:
        value = rng.normal(0.0, 0.5, variable.shape)
        if "log_temperature" in variable.path:
            continue
        variable.assign(value)
    return model


def compile_model(model, configuration, optimizer=None):
    model.compile(
        optimizer=optimizer or _optimizer(configuration),
        loss=_loss(configuration),
        run_eagerly=configuration["eager"],
    )


def _options(configuration):
    name = configuration["contribution"]
    return dict(
        contribution=name and getattr(contributions, name)(),
        layer_clipnorm=configuration["layer_clipnorm"],
        layer_metrics=configuration["layer_metrics"],
    )


def _graph(configuration):
    inputs = keras.Input(tuple(configuration["input"]))
    tensors, goodness = {-1: inputs}, []
    for i, node in enumerate(configuration["nodes"]):
        layer = make_layer(node, f"node_{i}")
        given = [tensors[j] for j in node["from"]]
        out = layer(given if len(given) > 1 else given[0])
        if isinstance(layer, layers.LocalLayer):
            out, scores = out
            goodness.append(scores)
        tensors[i] = out
    return inputs, goodness


def make_layer(node, name=None):
    """A layer, here or in Keras, with the parts that it is made of."""
    (kind, *_) = (
        getattr(package, node["layer"])
        for package in (layers, objectives, keras.layers)
        if hasattr(package, node["layer"])
    )
    args = dict(node.get("args", {}))
    for key, value in args.items():
        if key.endswith("_initializer") and isinstance(value, list):
            args[key] = getattr(keras.initializers, value[0])(*value[1:])
        if key == "pooling" and isinstance(value, list):
            args[key] = tuple(value)
    if "parts" in node:
        args["layers"] = [make_layer(part) for part in node["parts"]]
        args["goodness"] = make_layer(node["head"])
        args["objectives"] = [make_layer(x) for x in node.get("objectives", ())]
    if name is not None:
        args["name"] = name
    return kind(**args)


def _forward_forward(configuration):
    dense = [
        layers.FFDense(name=f"node_{i}", **args)
        for i, args in enumerate(configuration["layers"])
    ]
    return models.ForwardForwardModel(
        [keras.Input(tuple(configuration["input"])), *dense],
        num_classes=configuration["classes"],
        negatives=configuration["negatives"],
        inference=configuration["inference"],
        label_scale=configuration["label_scale"],
        **_options(configuration),
    )


def _optimizer(configuration):
    args = dict(configuration["optimizer"])
    if configuration["policy"] == "bfloat16":
        # Keras cannot, see docs/upstream.md.
        args.pop("global_clipnorm", None)
    return getattr(keras.optimizers, args.pop("name"))(**args)


def _loss(configuration):
    name = configuration["loss"]
    if name is None:
        return None
    if name == "smoothed":
        return losses.LocalCrossentropy(label_smoothing=0.1)
    if name in ("ForwardForwardLoss", "SymBaLoss"):
        return getattr(losses, name)()
    if name == "SmoothMarginLoss":
        return losses.SmoothMarginLoss(margin=0.2, scale=4.0)
    return getattr(keras.losses, name)(from_logits=True)


def data(configuration, batches=1, salt=0):
    """Inputs, labels as the configuration wants them, and class numbers."""
    rng = np.random.default_rng([configuration["seed"], salt])
    size = configuration["batch"] * batches
    x = rng.normal(size=(size, *configuration["input"]))
    numbers = rng.integers(0, configuration["classes"], size)
    y = numbers
    if configuration["labels"] == "column":
        y = numbers[:, None]
    if configuration["labels"] == "rows":
        y = np.eye(configuration["classes"], dtype="float32")[numbers]
    return x.astype("float32"), y, numbers


def by_hand(model, configuration, x, training, features=None):
    """The goodness of every local layer, layer after layer.

    To `features`, a list, go their features with their gradient.
    """
    tensors, goodness = {-1: ops.convert_to_tensor(x)}, []
    tensors[-1] = ops.cast(tensors[-1], model.inputs[0].dtype)
    # Keras leaves out what no goodness depends on.
    names = {layer.name for layer in model.layers}
    for i, node in enumerate(configuration["nodes"]):
        if f"node_{i}" not in names:
            continue
        given = [tensors[j] for j in node["from"]]
        given = given if len(given) > 1 else given[0]
        layer = model.get_layer(f"node_{i}")
        if isinstance(layer, layers.LocalLayer):
            out, scores = layer(given, training=training, keep_gradient=True)
            goodness.append(scores)
            if features is not None:
                features.append(out)
            out = ops.stop_gradient(out)
        elif node["layer"] == "Dropout":
            out = layer(given, training=training)
        else:
            out = layer(given)
        tensors[i] = out
    return goodness


def objective_losses(model, features, numbers, weights, training):
    """What the objectives of every local layer add to its loss."""
    rows = np.eye(model.num_classes, dtype="float32")[numbers]
    rows, weights = map(ops.convert_to_tensor, (rows, weights))
    found = []
    for layer, given in zip(model.local_layers, features):
        values = [
            x.weight * ops.mean(weights * ops.cast(losses, "float32"))
            for x in layer.objectives
            for losses in [x(given, rows, weights, training=training)]
        ]
        found.append(sum(values))
    return found


def has_random_step(configuration):
    """Whether a training step draws random numbers."""
    if configuration["kind"] == "forward_forward":
        return True
    return any(
        _draws(part)
        for node in configuration["nodes"]
        for part in (node, *node.get("parts", ()))
    )


def _draws(node):
    args = node.get("args", {})
    return bool(args.get("dropout") or args.get("rate"))


def has_frozen_draws(configuration):
    """Whether weights stay as drawn, by every backend otherwise."""
    frozen = ("learnable_prototypes", "learnable_assignment")
    return any(
        part.get("args", {}).get(name) is False
        for node in configuration.get("nodes", ())
        for part in (node, node.get("head", {}))
        for name in frozen
    )


def hides_nan(configuration):
    """Whether TensorFlow's max pooling makes numbers of NaN."""
    return keras.backend.backend() == "tensorflow" and any(
        node["layer"] == "MaxPooling2D"
        for node in configuration.get("nodes", ())
    )


def mixes_samples(configuration):
    """Whether a sample's step depends on the others of its batch."""
    if configuration["kind"] == "forward_forward":
        return True
    return any(
        part["layer"] == "BatchNormalization"
        for node in configuration["nodes"]
        for part in node.get("parts", ())
    )


def numpy(tensor):
    return np.array(ops.convert_to_numpy(tensor))


def state(model, optimizer=True):
    """All numbers of a model and its optimizer, by their place."""
    variables = list(model.variables)
    if optimizer:
        variables += model.optimizer.variables
    return [numpy(v) for v in variables]


def restore(model, numbers):
    """Gives a model the numbers that it had."""
    for variable, value in zip(model.variables, numbers, strict=True):
        variable.assign(value)
