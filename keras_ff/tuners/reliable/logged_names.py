import keras
import numpy as np


def declares(model, name):
    """Whether a model says itself, unasked, that it logs a metric."""
    if name == "loss":
        return True
    config = model.get_compile_config() or {}
    return name in keras.tree.flatten(config.get("metrics"))


def logged_names(model):
    """The names that `fit` with validation data logs for a compiled model.

    Evaluates one sample of zeros, which costs no training.

    Returns:
        List of strings, or `None` if it cannot be found out.
    """
    try:
        x = [np.zeros((1, *t.shape[1:]), t.dtype) for t in model.inputs]
        outputs = keras.tree.flatten(model.outputs)
        rows = [np.zeros((1, *t.shape[1:])) for t in outputs]
    except (AttributeError, TypeError, ValueError):
        # It has no inputs yet, or takes every size.
        return None
    for y in ([np.zeros(1, "int32")] * len(rows), rows):
        try:
            logs = model.evaluate(
                _one_or_all(x), _one_or_all(y), verbose=0, return_dict=True
            )
        except Exception:
            # Labels of another form are asked for.
            continue
        return [*logs, *(f"val_{name}" for name in logs)]
    return None


def _one_or_all(values):
    return values[0] if len(values) == 1 else values
