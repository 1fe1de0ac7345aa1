"""The peak memory of a training step, beyond what is held between steps."""

import collections
import contextlib
import statistics
from typing import NamedTuple

import keras

STEPS = 5


class PeakMemory(NamedTuple):
    """A number of bytes, or `None` if not measured, and what it counts."""

    bytes: int | None
    what: str


def peak_memory(model, x, y):
    """Measures one training step, with what the backend offers for it.

    The step runs a few times and trains the model on the batch.

    Args:
        model: a compiled model that was trained already.
        x, y: a batch.

    Returns:
        A `PeakMemory`.
    """
    return {
        "tensorflow": _tensorflow,
        "jax": _jax,
        "torch": _torch,
    }[keras.backend.backend()](model, x, y)


def _tensorflow(model, x, y):
    """TensorFlow counts what its allocator hands out."""
    import tensorflow as tf

    device = "GPU:0" if tf.config.list_logical_devices("GPU") else "CPU:0"
    memory = tf.config.experimental
    peaks = []
    # The first one still traces; the order of operations varies after it.
    for _ in range(1 + STEPS):
        memory.reset_memory_stats(device)
        before = memory.get_memory_info(device)["current"]
        model.train_on_batch(x, y)
        peaks.append(memory.get_memory_info(device)["peak"] - before)
    peak = statistics.median(peaks[1:])
    if peak <= 0:
        return PeakMemory(
            None,
            "not measured: set TF_CPU_ALLOCATOR_USE_BFC=true before "
            "TensorFlow is imported",
        )
    return PeakMemory(
        int(peak),
        "what TensorFlow's allocator hands out at the peak of a step, less "
        "what is held between steps (weights, optimizer state)",
    )


def _jax(model, x, y):
    """XLA plans all memory of a compiled step ahead."""
    import jax

    state = tuple(
        [variable.value for variable in variables]
        for variables in (
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
            model.metrics_variables,
        )
    )
    batch = jax.tree.map(keras.ops.convert_to_tensor, (x, y))
    step = jax.jit(model.train_step, donate_argnums=0)
    analysis = step.lower(state, batch).compile().memory_analysis()
    if analysis is None:
        return PeakMemory(None, "not measured: XLA tells no memory here")
    return PeakMemory(
        int(analysis.temp_size_in_bytes),
        "the temporary memory of the step that XLA compiled: all but weights, "
        "optimizer state and the batch",
    )


def _torch(model, x, y):
    """PyTorch tells which tensors are kept for a backward pass."""
    ledger = _SavedTensors({v.value.data_ptr() for v in model.variables})
    with ledger.counting():
        model.train_on_batch(x, y)
    return PeakMemory(
        ledger.peak,
        "the most that PyTorch keeps for backward passes at any time of a "
        "step, without its working space",
    )


class _SavedTensors:
    """Counts the bytes of the tensors kept for backward passes.

    Args:
        ignored: set of addresses that do not count, those of weights.
    """

    def __init__(self, ignored):
        self._ignored = ignored
        self._users = collections.Counter()
        self._current = 0
        self.peak = 0

    @contextlib.contextmanager
    def counting(self):
        import torch

        with torch.autograd.graph.saved_tensors_hooks(
            lambda tensor: _Kept(tensor, self), lambda kept: kept.tensor
        ):
            yield

    def enter(self, storage):
        if storage.data_ptr() in self._ignored:
            return
        self._users[storage.data_ptr()] += 1
        if self._users[storage.data_ptr()] == 1:
            self._current += storage.nbytes()
            self.peak = max(self.peak, self._current)

    def leave(self, storage):
        if storage.data_ptr() in self._ignored:
            return
        self._users[storage.data_ptr()] -= 1
        if self._users[storage.data_ptr()] == 0:
            self._current -= storage.nbytes()


class _Kept:
    """A tensor that the graph keeps, as long as the graph keeps it."""

    def __init__(self, tensor, ledger):
        self.tensor = tensor
        self._ledger = ledger
        ledger.enter(tensor.untyped_storage())

    def __del__(self):
        self._ledger.leave(self.tensor.untyped_storage())
