import contextlib
from typing import Any

import keras

from keras_ff import keras_private


@contextlib.contextmanager
def unregistered(model):
    """Lets Keras find what only this process knows: it was not registered.

    The functions of `Lambda` layers too, which Keras takes for foreign code
    and revives without the names that they use.
    """
    layers = list(keras_private.all_layers(model))
    classes = {type(x) for x in (*layers, model.contribution)}
    known: dict[str, Any] = {found.__name__: found for found in classes}
    renamed = []
    for layer in layers:
        if isinstance(layer, keras.layers.Lambda):
            for function in keras_private.lambda_functions(layer):
                name = f"{function.__name__}_{id(function)}"
                renamed.append((function, function.__name__))
                known[name] = function
                function.__name__ = name
    try:
        with keras.saving.custom_object_scope(known):
            yield
    finally:
        for function, name in renamed[::-1]:
            function.__name__ = name
