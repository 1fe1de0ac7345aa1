import signal
import threading

from keras_ff import keras_private


class JaxLoop:
    """One run of a loop of Keras's on JAX: what the last step gave.

    A signal that raises, as Ctrl-C does, waits as long as nothing else holds
    the newest values.

    Args:
        model: the model whose loop it is.
    """

    def __init__(self, model):
        self.values = None
        self._model = model
        self._handlers = {}
        self._waiting = None

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            for number in signal.valid_signals():
                handler = signal.getsignal(number)
                if callable(handler):
                    self._handlers[number] = handler
                    signal.signal(number, self._handle)
        return self

    def __exit__(self, kind, error, traceback):
        try:
            if kind is not None:
                keras_private.end_jax_training(self._model)
        finally:
            for number, handler in self._handlers.items():
                if signal.getsignal(number) == self._handle:
                    signal.signal(number, handler)
            self._model._loop = None
        self._deliver()

    def step(self, function, state, iterator):
        """Runs a step of Keras's; keeps the values before and after it."""
        if state is not self.values:
            state = _distinct(state)
        self.values = state
        self._deliver()
        outputs, self.values = function(state, iterator)
        self._deliver()
        return outputs, self.values

    def _handle(self, number, frame):
        if self._is_whole():
            self._handlers[number](number, frame)
        else:
            self._waiting = number, frame

    def _deliver(self):
        if self._waiting is not None:
            (number, frame), self._waiting = self._waiting, None
            self._handlers[number](number, frame)

    def _is_whole(self):
        """Whether an error now would find all values."""
        if self.values is not None:
            values = [value for group in self.values for value in group]
            return not any(value.is_deleted() for value in values)
        variables = list(self._model.variables)
        if getattr(self._model, "optimizer", None) is not None:
            variables += self._model.optimizer.variables
        return not any(keras_private.is_empty(v) for v in variables)


def _distinct(state):
    """Values of which no two are one array, which cannot be used up twice."""
    seen = set()

    def own(value):
        if id(value) in seen:
            return value.copy()
        seen.add(id(value))
        return value

    return tuple([own(value) for value in group] for group in state)
