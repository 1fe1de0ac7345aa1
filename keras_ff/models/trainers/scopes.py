import contextlib


def scope_of(model):
    """A context in which a model's optimizer makes its variables."""
    return contextlib.nullcontext()


def whole_weights(model):
    """A context in which every process can read all of a model's weights.

    All processes that train it together enter it.
    """
    return contextlib.nullcontext()
