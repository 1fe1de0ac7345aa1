import keras

from keras_ff import keras_private


def portable(config, optimizer, jit_compile, variables):
    """What Keras saves of `compile`, made to mean the same anywhere.

    Args:
        config: dict, Keras's own.
        optimizer: the optimizer in use. Keras saves the one that was given,
            which the session that loads would wrap in loss scaling or not,
            as its own dtype policy says.
        jit_compile: as it was given. Keras saves what "auto" meant here,
            which may be slow elsewhere: PyTorch compiles for minutes, JAX
            runs uncompiled.
        variables: those of the model.

    Returns:
        Dict of the serialized arguments of `compile`.
    """
    config = {
        **config,
        "optimizer": keras.saving.serialize_keras_object(optimizer),
        "auto_scale_loss": False,
        "jit_compile": jit_compile,
    }
    excluded = [
        keras_private.excluded_from_weight_decay(part, variables)
        for part in keras_private.inner_optimizers(optimizer)
    ]
    if any(paths or names for paths, names in excluded):
        config["excluded_from_weight_decay"] = excluded
    return with_public_names(config)


def exclude_from_weight_decay(optimizer, variables, excluded):
    """Tells a new optimizer what that of `portable` was told."""
    parts = keras_private.inner_optimizers(optimizer)
    for part, (paths, names) in zip(parts, excluded):
        part.exclude_from_weight_decay(
            [v for v in variables if v.path in paths], names and [names]
        )


def with_public_names(config):
    """Names optimizers as every backend knows them.

    On PyTorch, Keras writes the module of its PyTorch optimizers, which no
    other backend can train with.
    """
    if isinstance(config, dict):
        config = {k: with_public_names(v) for k, v in config.items()}
        if keras_private.is_torch_optimizer(config.get("module")):
            config["module"] = "keras.optimizers"
            config["registered_name"] = None
        return config
    if isinstance(config, (list, tuple)):
        return type(config)(with_public_names(v) for v in config)
    return config
