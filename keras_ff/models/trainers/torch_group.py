from typing import Any

import torch
from torch import distributed


class TorchGroup:
    """The processes of `torch.distributed` that train one model together.

    All of them call the same methods in the same order. Sums run in the
    background until what their method returned is called.
    """

    advice = (
        "Every process is given all arrays and takes its share of each batch; "
        "what is its own part already comes in a torch DataLoader of as many "
        "batches, and is left alone."
    )

    def __init__(self):
        self.index = distributed.get_rank()
        self.size = distributed.get_world_size()

    @classmethod
    def joined(cls):
        """The group that this process has joined, or `None`."""
        if not (distributed.is_available() and distributed.is_initialized()):
            return None
        return cls() if distributed.get_world_size() > 1 else None

    def sum(self, tensors):
        """Starts to add tensors up over the processes.

        Returns:
            Function without arguments, gives the list of the sums.
        """
        shapes = [(x.shape, x.dtype) for x in tensors]
        # One message, exact for every dtype that is trained in.
        wide = any(x.dtype == torch.float64 for x in tensors)
        dtype = torch.float64 if wide else torch.float32
        flat = torch.cat([x.reshape(-1).to(dtype) for x in tensors])
        work = self._start(distributed.all_reduce, flat)

        def sums():
            self._wait(work)
            parts = flat.split([shape.numel() for shape, _ in shapes])
            return [
                part.view(shape).to(dtype)
                for part, (shape, dtype) in zip(parts, shapes)
            ]

        return sums

    def gather(self, value) -> list[Any]:
        """The values of all processes, any that `pickle` knows, a list."""
        values = [None] * self.size
        self._run(distributed.all_gather_object, values, value)
        return values

    def give(self, variables):
        """Gives all processes the values that the first one has."""
        for variable in variables:
            # Not every way of sending knows every dtype; all know bytes.
            sent = variable.value.detach().contiguous().reshape(-1)
            sent = sent.view(torch.uint8).clone()
            self._run(distributed.broadcast, sent, 0)
            value = sent.view(variable.value.dtype)
            variable.value.copy_(value.view(variable.value.shape))

    def average(self, variables):
        """Gives all processes the mean of the values that each has."""
        own = [variable.value.clone() for variable in variables]
        self.give(variables)
        # Values that are the same everywhere stay so to the last bit.
        apart = [x - variable.value for x, variable in zip(own, variables)]
        if apart:
            for variable, total in zip(variables, self.sum(apart)()):
                variable.value.add_(total / self.size)

    def _start(self, function, *args):
        return self._run(function, *args, async_op=True)

    def _wait(self, work):
        self._run(work.wait)

    def _run(self, function, *args, **kwargs):
        try:
            return function(*args, **kwargs)
        except RuntimeError as error:
            raise RuntimeError(
                f"Process {self.index} of {self.size} lost touch with another "
                "one, which has ended, failed, or called other methods than "
                "this one. Its own error says why. End all processes and "
                "start them again; a `keras_ff.callbacks.Backup` goes on from "
                f"its last whole epoch. ({error})"
            ) from error
