import json

import keras


def check_same(group, facts):
    """Raises in all processes if they are not about to do the same.

    Args:
        group: the group of the processes, with a method `gather`.
        facts: dict from words to values whose texts are compared.
    """
    facts = {name: str(value) for name, value in facts.items()}
    first, *others = group.gather(facts)
    for index, found in enumerate(others, start=1):
        for name in first:
            if found.get(name) != first[name]:
                raise ValueError(
                    "All processes must train the same model on the same "
                    f"data. Received: process {index} has other {name} than "
                    f"process 0: {_short(found.get(name))} instead of "
                    f"{_short(first[name])}. {group.advice}"
                )


def described_model(model):
    """What a model must have in common with those of other processes."""
    return {
        "layers": [type(layer).__name__ for layer in model.layers],
        "shapes of weights": [
            (*v.shape, v.dtype, v.trainable) for v in model.variables
        ],
        "loss": _text(model.loss),
        "optimizer": _text(model.optimizer),
        "layer_clipnorm": model._readout.layer_clipnorm,
        "contribution": _text(model.contribution),
    }


def described_fit(model, options):
    """What a call of `fit` must have in common, apart from its data."""
    names = ("epochs", "initial_epoch", "validation_freq")
    steps = ("steps_per_epoch", "validation_steps")
    same = {name: options[name] for name in (*names, *steps)}
    return {**same, "finished epochs": model.epoch}


def verbosity(group, verbose):
    """`verbose` of Keras's loops: one process of a group tells of itself."""
    return 0 if group and group.index and verbose == "auto" else verbose


def _text(part):
    config = dict(part.get_config())
    config.pop("name", None)
    # Functions have an address in their text.
    text = json.dumps(
        keras.saving.serialize_keras_object(config),
        default=lambda x: type(x).__name__,
    )
    return f"{type(part).__name__} {text}"


def _short(text):
    text = str(text)
    return text if len(text) < 200 else f"{text[:200]}..."
