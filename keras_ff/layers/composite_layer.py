import collections
import warnings
from typing import Self

import keras

from keras_ff.keras_private import all_layers
from keras_ff.keras_private import own_layers
from keras_ff.type_aliases import Config
from keras_ff.type_aliases import Shape


class CompositeLayer(keras.layers.Layer):
    """A layer made of layers, whose copies know what was done to those.

    Keras keeps a layer's constructor arguments only. What is done to a
    sub-layer by hand is lost in a copy: that it was frozen, quantized or given
    LoRA. Here it is part of the config, as `"sublayers"`, by the sub-layers'
    names.

    Args:
        **kwargs: base layer keyword arguments (`name`, `dtype`, `trainable`).
    """

    # The names of the parts that a model's layers hold more than once.
    _shared: tuple[str, ...] = ()

    def build(self, input_shape: Shape | None = None) -> None:
        freeze_parts_of_frozen(self)

    def get_config(self) -> Config:
        if self._shared:
            raise ValueError(
                f"Layer '{self.name}' shares parts, {[*self._shared]}, with "
                "another layer or holds them twice. A copy of the model, and "
                "a file of it, would have two of each. Give every layer parts "
                "of its own, or save the weights alone (`save_weights`) and "
                "load them into a model that is made by the same code."
            )
        config = super().get_config()
        parts = sublayers(self)
        changes = {}
        for path, part in parts.items():
            change = _changes(part)
            owner = parts.get(path.rpartition("/")[0], self)
            if owner.trainable and not part.trainable:
                change["trainable"] = False
            if change:
                changes[path] = change
        if changes:
            config["sublayers"] = changes
        return config

    @classmethod
    def from_config(cls, config: Config) -> Self:
        config = dict(config)
        changes = config.pop("sublayers", {})
        layer = super().from_config(config)
        parts = sublayers(layer)
        for path, change in changes.items():
            if path in parts:
                _change(parts[path], change)
            else:
                warnings.warn(
                    f"Layer '{layer.name}' has no part {path!r} in its copy, "
                    f"so this is lost: {change}. Give the part a name of its "
                    f"own. Parts: {list(parts)}",
                    stacklevel=2,
                )
        return layer


def mark_shared_parts(layers):
    """Lets layers know which of their parts, with weights, are held twice.

    Warns that they are: they train, but there is no copy and no file.
    """
    held = {id(layer): _held(layer) for layer in layers}
    times = collections.Counter(
        id(part) for parts in held.values() for part in parts
    )
    holders, shared = [], []
    for layer in layers:
        parts = {id(x): x for x in held[id(layer)] if times[id(x)] > 1}
        names = [x.name for x in parts.values() if x.weights]
        if names:
            holders.append(layer.name)
            shared += names
        # Of models that have some of the layers, too.
        layer._shared = tuple(dict.fromkeys([*layer._shared, *names]))
    if shared:
        warnings.warn(
            f"Layers {holders} share parts, {[*dict.fromkeys(shared)]}, or "
            "hold them twice. Those learn the sum of their gradients, but the "
            "model can be neither saved nor copied, only its weights "
            "(`save_weights`). Unless that is meant, give every layer parts "
            "of its own.",
            stacklevel=2,
        )


def _held(layer):
    """All layers in a layer, as often as its config has them."""
    if not isinstance(layer, CompositeLayer):
        return list(all_layers(layer, include_self=False))
    listed = list(getattr(layer, "layers", ()))
    again = [x for i, x in enumerate(listed) if x in listed[:i]]
    parts = []
    for part in [*own_layers(layer), *again]:
        parts += [part, *_held(part)]
    return parts


def sublayers(layer):
    """All layers in a layer.

    Returns:
        Dict from a path of names, such as `"head/projection"`, to a layer.
    """
    found = {}
    for part in own_layers(layer):
        found[part.name] = part
        for path, below in sublayers(part).items():
            found[f"{part.name}/{path}"] = below
    return found


def freeze_parts_of_frozen(layer):
    """Freezes what frozen layers are made of, at any depth.

    Keras freezes the parts of a layer that it is told to freeze, not those of
    a layer that was made frozen.
    """
    for part in own_layers(layer):
        if not layer.trainable:
            part.trainable = False
        freeze_parts_of_frozen(part)


def _changes(part):
    """What was done to a layer after it was made, besides freezing."""
    changes = {}
    if part.quantization_mode is not None:
        changes["dtype"] = keras.dtype_policies.serialize(part.dtype_policy)
        quantization = getattr(part, "quantization_config", None)
        if quantization is not None:
            changes["quantization_config"] = (
                keras.saving.serialize_keras_object(quantization)
            )
    if getattr(part, "lora_rank", None):
        changes["lora_rank"] = part.lora_rank
        changes["lora_alpha"] = part.lora_alpha
    return changes


def _change(part, changes):
    """Does the same to a layer that is not built yet."""
    changes = dict(changes)
    part.trainable = changes.pop("trainable", part.trainable)
    if "dtype" in changes:
        part.dtype_policy = keras.dtype_policies.get(changes.pop("dtype"))
    for name, value in changes.items():
        if isinstance(value, dict):
            value = keras.saving.deserialize_keras_object(value)
        setattr(part, name, value)


def serialize_part(part, owner):
    """The config of a sub-layer, to be built where it was built before.

    Keras builds a layer of a config at once if it was built. A part that its
    owner built is left to it, so that its variables' paths are the same.
    """
    config = keras.saving.serialize_keras_object(part)
    if part.path and owner.path and part.path.startswith(f"{owner.path}/"):
        return _unbuilt(config)
    return config


def _unbuilt(config):
    if isinstance(config, (list, tuple)):
        return [_unbuilt(value) for value in config]
    if not isinstance(config, dict):
        return config
    if "build_input_shape" in config:
        # A Sequential got its input when it was built.
        layers = [
            layer
            for layer in config["layers"]
            if layer["class_name"] != "InputLayer"
        ]
        config = {**config, "layers": layers}
    return {
        name: _unbuilt(value)
        for name, value in config.items()
        if name not in ("build_config", "build_input_shape")
    }
