import json
import zlib

import keras
import numpy as np
from keras import ops
from keras import tree

# Bytes of an array whose every row tells it from others.
_LOOKED_AT = 2**22


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


def described_arrays(arrays):
    """Tells arrays from others; of large ones some rows only."""
    return [
        (*leaf.shape, str(leaf.dtype), zlib.crc32(_some_rows(leaf)))
        for leaf in tree.flatten(arrays)
        if leaf is not None
    ]


def _some_rows(array):
    if array.shape:
        array = array[:: 1 + array.nbytes // _LOOKED_AT]
    return np.ascontiguousarray(ops.convert_to_numpy(array))


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
