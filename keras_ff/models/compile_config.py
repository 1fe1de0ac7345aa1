import keras

from keras_ff import keras_private


def check_loss(loss, default):
    if loss is None:
        return default()
    if not isinstance(loss, keras.losses.Loss):
        raise TypeError(
            "`loss` must be a keras.losses.Loss on logits, or None for "
            f"keras_ff.losses.{default.__name__}(). Received: "
            f"loss={loss!r}. For instance "
            "keras.losses.SparseCategoricalCrossentropy(from_logits=True)"
        )
    if loss.get_config().get("from_logits") is False:
        raise ValueError(
            "Goodness is used as logits: give the loss from_logits=True. "
            f"Received: {type(loss).__name__}(from_logits=False)"
        )
    return loss


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
