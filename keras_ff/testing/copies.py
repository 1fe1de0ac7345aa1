"""What becomes of a layer in copies and in files."""

import copy
import inspect
import json
import os
import tempfile

import keras
import numpy as np

from keras_ff.keras_private import own_layers
from keras_ff.testing.arrays import change
from keras_ff.testing.arrays import difference
from keras_ff.testing.arrays import numpy
from keras_ff.testing.battery import demand

REGISTER = (
    'put `@keras.saving.register_keras_serializable(package="my_layers")` '
    "before the class"
)


def check_config(thing):
    """Raises unless a config makes the same thing again; returns that."""
    kind = type(thing).__name__
    config = thing.get_config()
    missing = [
        parameter.name
        for parameter in inspect.signature(type(thing)).parameters.values()
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        and parameter.name not in config
    ]
    demand(
        not missing,
        "arguments of the constructor are not in the config: a copy would "
        "have their defaults",
        f"no {missing} in `get_config()`",
        "every argument, under its name",
        "return {**super().get_config(), 'argument': self.argument} from "
        "`get_config`",
    )
    try:
        data = keras.saving.serialize_keras_object(thing)
        data = json.loads(json.dumps(data, default=list))
    except Exception as error:
        demand(
            False,
            "the config does not fit into a file",
            error,
            "strings, numbers, lists, dicts and Keras objects that are "
            "serialized",
            "give parts to `keras.saving.serialize_keras_object` in "
            "`get_config`, and to `deserialize_keras_object` in `from_config`",
        )
    demand(
        keras.saving.get_registered_name(type(thing)) != kind
        or type(thing).__module__.startswith("keras."),
        "the class is not known to Keras: files with it cannot be loaded",
        f"{kind}, not registered",
        f"a registered name, such as 'my_layers>{kind}'",
        REGISTER,
    )
    again = keras.saving.deserialize_keras_object(data)
    demand(
        type(again) is type(thing),
        "the config makes something else",
        type(again).__name__,
        kind,
        REGISTER,
    )
    before, after = (
        json.loads(json.dumps(each.get_config(), default=list))
        for each in (thing, again)
    )
    differing = [
        f"{key}={before.get(key)!r} became {after.get(key)!r}"
        for key in {**before, **after}
        if before.get(key) != after.get(key)
    ]
    demand(
        not differing,
        "a copy made from the config has another config",
        "; ".join(differing),
        "the same",
        "let `get_config` return what the constructor was given",
    )
    return again


def serialization(subject) -> None:
    """The config makes the same layer again."""
    layer = subject.made()
    again = check_config(layer)
    for each in (layer, again):
        each(subject.inputs())
    shapes = [
        [tuple(v.shape) for v in each.variables] for each in (layer, again)
    ]
    demand(
        shapes[0] == shapes[1],
        "a copy made from the config has other variables",
        f"shapes {shapes[1]}",
        f"{shapes[0]}",
        "let `get_config` return all that decides about weights",
    )


def facts(model):
    return sorted((v.path, v.trainable) for v in model.weights)


def check_copies(model, x, freeze=()) -> None:
    """Raises unless copies and files of a model are as it is.

    Args:
        model: a model, not compiled.
        x: samples.
        freeze: layers of it that shall stay frozen, one after the other.
    """
    change(model)
    expected = numpy(model(x))
    ways = {
        "keras.models.clone_model": keras.models.clone_model,
        "copy.deepcopy": copy.deepcopy,
        "a .keras file": loaded,
    }
    for way, make in ways.items():
        other = make(model)
        _check_copy(model, other, way)
        _check_numbers(model, other, way, x, expected)
    way = "keras.models.clone_model"
    for part in freeze:
        part.trainable = False
        _check_copy(model, ways[way](model), way)
        part.trainable = True


def _check_copy(model, other, way) -> None:
    demand(
        facts(other) == facts(model),
        f"variables of a copy by {way} have other names, or others train",
        f"(path, trainable): {_only(facts(other), facts(model))}",
        f"{_only(facts(model), facts(other))}",
        "give every part a name of its own in the constructor, for instance "
        "keras.layers.Dense(units, name='dense'): what is done to a part is "
        "kept under its name",
    )
    own = {id(variable) for variable in model.variables}
    shared = [v.path for v in other.variables if id(v) in own]
    demand(
        not shared,
        f"a copy by {way} shares variables with the original",
        f"{shared}",
        "variables of its own",
        "make parts in the constructor, or let `get_config` and "
        "`from_config` serialize those that it is given",
    )


def _only(some, others):
    return [fact for fact in some if fact not in others][:4]


def _check_numbers(model, other, way, x, expected) -> None:
    if way == "keras.models.clone_model":
        other.set_weights(model.get_weights())
    lost = [
        variable.path
        for variable, left, right in zip(
            model.weights, model.get_weights(), other.get_weights()
        )
        if not np.array_equal(left, right)
    ]
    demand(
        not lost,
        f"{way} loses numbers",
        f"other numbers in {lost}",
        "the same",
        "keep all that is learned in variables made by `self.add_weight`",
    )
    off = difference(numpy(other(x)), expected)
    demand(
        off <= 1e-6,
        f"a copy by {way} gives other outputs",
        f"a difference of {off:.2g}",
        "at most 1e-06",
        "keep all that is learned in variables made by `self.add_weight`, "
        "and every argument in `get_config`",
    )


def loaded(model):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.keras")
        model.save(path)
        return keras.saving.load_model(path)


def copies(subject) -> None:
    """Clones, copies and files have the same numbers, names and outputs."""
    inputs = subject.inputs()
    layer = subject.made()
    outputs = layer(inputs)
    if isinstance(outputs, tuple):
        # Both are read.
        outputs = keras.layers.Concatenate(dtype="float32")(
            [keras.layers.Flatten(dtype="float32")(x) for x in outputs]
        )
    check_copies(
        keras.Model(inputs, outputs),
        subject.x,
        [part for part in own_layers(layer) if part.trainable_variables],
    )
