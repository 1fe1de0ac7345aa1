import functools

import keras

from keras_ff import keras_private
from keras_ff.models.trainers.jax_devices import JaxDevices
from keras_ff.models.trainers.jax_loop import JaxLoop


def _whole(name):
    """A method of a Keras model, which leaves all values whole."""

    @functools.wraps(getattr(keras.Model, name))
    def method(self, *args, **kwargs):
        run = getattr(super(JaxLoops, self), name)
        if self._loop is not None:
            return run(*args, **kwargs)
        with JaxLoop(self) as self._loop:
            return run(*args, **kwargs)

    return method


class JaxLoops(JaxDevices, keras_private.JaxSync):
    """Keras's loops on JAX, which may be interrupted at any time.

    A step uses up the values of the variables, and Keras writes the new ones
    back at the end of an epoch. An error or an interrupt in between, also
    between a step and the storing of what it gave, would lose them: a
    `JaxLoop` keeps them.
    """

    _loop = None

    fit = _whole("fit")
    evaluate = _whole("evaluate")
    predict = _whole("predict")
    train_on_batch = _whole("train_on_batch")
    test_on_batch = _whole("test_on_batch")
    predict_on_batch = _whole("predict_on_batch")

    def reset_metrics(self):
        # From here on Keras ends `fit` with averages, also after an error.
        if getattr(self, "optimizer", None) is not None:
            keras_private.start_averages(self.optimizer)
        super().reset_metrics()

    def make_train_function(self, force=False):
        made = self.train_function
        super().make_train_function(force)
        if self.train_function is not made:
            self.train_function = self._kept(self.train_function)

    def make_test_function(self, force=False):
        made = self.test_function
        super().make_test_function(force)
        if self.test_function is not made:
            self.test_function = self._kept(self.test_function)

    def make_predict_function(self, force=False):
        made = self.predict_function
        super().make_predict_function(force)
        if self.predict_function is not made:
            self.predict_function = self._kept(self.predict_function)

    def _kept(self, function):
        def step(state, iterator):
            if self._loop is None:
                return function(state, iterator)
            return self._loop.step(function, state, iterator)

        return step

    def _newest_values(self):
        return self._loop and self._loop.values

    def _values_are_written(self):
        if self._loop is not None:
            self._loop.values = None
