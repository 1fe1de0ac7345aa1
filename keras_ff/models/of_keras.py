"""What can be seen of the losses and metrics that a user gives."""

import inspect

from keras_ff.losses.function_loss import FunctionLoss


def function_name(loss):
    """The name of the function of Keras that a loss wraps, or `None`."""
    function = getattr(loss, "fn", None)
    if str(getattr(function, "__module__", "")).startswith("keras."):
        return function.__name__
    return None


def option(given, name):
    """An argument of a loss or a metric, wherever it can be seen."""
    if isinstance(given, FunctionLoss):
        # The config of one has the source of its function.
        given = given.fn
    if inspect.isfunction(given):
        return _default(given, name)
    if not hasattr(given, "get_config"):
        return None
    for place in (given.get_config(), vars(given)):
        if place.get(name) is not None:
            return place[name]
    function = getattr(given, "fn", None)
    return None if function is None else _default(function, name)


def _default(function, name):
    argument = inspect.signature(function).parameters.get(name)
    return None if argument is None else argument.default
