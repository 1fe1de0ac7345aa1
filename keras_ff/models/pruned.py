import functools


def pruned(model, method):
    """Makes a method of a model compute only the layers that contribute."""

    @functools.wraps(method)
    def wrapped(*args, **kwargs):
        weights = model.contribution.weights
        needed = tuple(i for i, w in enumerate(weights) if w != 0) or None
        if needed != model._predict_needed:
            # The set of layers is fixed when the function is traced.
            model.predict_function = None
            model._predict_needed = needed
        model._needed = needed
        try:
            return method(*args, **kwargs)
        finally:
            model._needed = None

    return wrapped
