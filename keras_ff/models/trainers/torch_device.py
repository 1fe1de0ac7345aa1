import contextlib

import keras
import torch

from keras_ff.models.trainers.torch_group import TorchGroup


class StageDevice:
    """A device of PyTorch that runs a stage of a model.

    Args:
        name: string, `"cuda:0"`, `"gpu:0"` or `"cpu"`.
        num_stages: int, how many stages there are. On a CPU each gets its
            part of the threads.
    """

    def __init__(self, name, num_stages):
        self._name = name.lower().replace("gpu", "cuda")
        try:
            self._device = torch.zeros((), device=self._name).device
        except (RuntimeError, AssertionError) as error:
            raise ValueError(
                f"There is no such device. Received: '{name}' in `devices` of "
                f"LayerParallel. Known: {sorted(set(list_devices()))}"
            ) from error
        self._is_cpu = self._device.type == "cpu"
        self._all_threads = torch.get_num_threads()
        self._threads = max(1, self._all_threads // num_stages)

    @contextlib.contextmanager
    def at_work(self):
        """In a stage's thread: makes the device that of the thread."""
        if self._is_cpu:
            torch.set_num_threads(self._threads)
        try:
            with keras.device(self._name), torch.no_grad():
                yield
        finally:
            # Threads made later start with what was set last.
            torch.set_num_threads(self._all_threads)

    @contextlib.contextmanager
    def on_trial(self):
        """For what is only measured: draws no random numbers."""
        devices = [] if self._is_cpu else [self._device]
        with torch.random.fork_rng(devices), self.at_work():
            yield

    def put(self, data):
        """Data on this device."""
        return keras.tree.map_structure(self._move, data)

    def _move(self, x):
        if x is None:
            return None
        return torch.as_tensor(x).to(self._device, non_blocking=True)

    def place(self, values, copied):
        """Values of variables, on this device.

        Args:
            values: list of tensors. Those that are here already stay.
            copied: list of bools, whether to copy even those.
        """
        return [
            value
            if value.device == self._device and not copy
            else value.detach()
            .to(self._device, copy=True)
            .requires_grad_(value.requires_grad)
            for value, copy in zip(values, copied)
        ]

    def mark(self, tensors):
        """A marker of all that the device was given so far."""
        if self._is_cpu:
            return None
        event = torch.cuda.Event()
        event.record(torch.cuda.current_stream(self._device))
        return event

    def wait(self, marker):
        """Waits until what was marked is done."""
        if marker is not None:
            marker.synchronize()

    @staticmethod
    def trace(function):
        """Calls a function whose result does not matter."""
        with torch.no_grad():
            function()

    @staticmethod
    def keep(sound, scope, variables, values, apply):
        """Applies gradients and keeps what layers changed, if all is sound.

        Args:
            sound: scalar.
            scope: the scope that holds the newest values of the variables.
            variables, values: lists of them, and of the values before.
            apply: function that applies the gradients in the scope.

        Returns:
            List of the values after, which are the same tensors.
        """
        freely = sound.device.type == "cpu"
        if freely and not sound:
            return values
        before = None if freely else [value.clone() for value in values]
        apply()
        for i, (variable, value) in enumerate(zip(variables, values)):
            new = scope.get_current_value(variable)
            if not freely:
                value.copy_(torch.where(sound, new, before[i]))
            elif new is not value:
                value.copy_(new)
        return values


def list_devices():
    """The names of all devices of the kind in use, one for each stage."""
    if torch.cuda.is_available():
        return [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    return ["cpu"] * torch.get_num_threads()


def num_processes():
    """How many processes train a model together."""
    group = TorchGroup.joined()
    return group.size if group else 1
