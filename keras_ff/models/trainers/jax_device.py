import contextlib

import jax


class StageDevice:
    """A device of JAX that runs a stage of a model.

    Args:
        name: string, as `keras.distribution.list_devices` gives it.
        num_stages: int, how many stages there are.
    """

    def __init__(self, name, num_stages):
        found = [d for d in jax.devices() if name in _names(d)]
        if not found:
            raise ValueError(
                f"There is no such device. Received: '{name}' in `devices` of "
                f"LayerParallel. Known: {list_devices()}"
            )
        self._device = found[0]

    def at_work(self):
        """In a stage's thread: makes the device that of the thread."""
        return jax.default_device(self._device)

    def on_trial(self):
        """For what is only measured."""
        return contextlib.nullcontext()

    def put(self, data):
        """Data on this device."""
        return jax.device_put(data, self._device)

    def place(self, values, copied):
        """Values of variables, on this device; `copied` says nothing here."""
        return self.put(values)

    def mark(self, tensors):
        """A marker of what computes these tensors."""
        return tensors

    def wait(self, marker):
        """Waits until what was marked is done."""
        jax.block_until_ready(marker)

    @staticmethod
    def compile(function):
        return jax.jit(function)

    @staticmethod
    def trace(function):
        """Calls a function whose result does not matter."""
        jax.eval_shape(function)

    @staticmethod
    def keep(sound, scope, variables, values, apply):
        """Applies gradients and keeps what layers changed, if all is sound.

        Args:
            sound: scalar.
            scope: the scope that holds the newest values of the variables.
            variables, values: lists of them, and of the values before.
            apply: function that applies the gradients in the scope.

        Returns:
            List of the values after.
        """
        apply()
        return [
            jax.numpy.where(sound, scope.get_current_value(variable), value)
            for variable, value in zip(variables, values)
        ]


def _names(device):
    names = {f"{device.platform}:{device.id}"}
    if device.id == 0:
        names.add(device.platform)
    return names


def list_devices():
    """The names of all devices of the kind in use, one for each stage."""
    return [f"{d.platform}:{d.id}" for d in jax.local_devices()]


def num_processes():
    """How many processes train a model together."""
    return jax.process_count()
