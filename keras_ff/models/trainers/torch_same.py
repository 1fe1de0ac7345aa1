import json

import keras

_CURES = {
    "data": (
        " Every process is given all arrays and takes its share of each "
        "batch; what is its own part already comes in a torch DataLoader of "
        "as many batches, and is left alone."
    )
}


def check_same(group, facts):
    """Raises in all processes if they are not about to do the same.

    Args:
        group: the `TorchGroup`.
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
                    f"{_short(first[name])}.{_CURES.get(name, '')}"
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
