"""The peak memory of a training step, beyond what is held between steps."""

import statistics
from typing import NamedTuple

import keras

STEPS = 5


class PeakMemory(NamedTuple):
    """A number of bytes, or `None` if not measured, and what it counts."""

    bytes: int | None
    what: str


NOT_COUNTED = PeakMemory(
    None,
    "not measured: set TF_CPU_ALLOCATOR_USE_BFC=true before TensorFlow is "
    "imported",
)


def peak_memory(model, x, y):
    """Measures a training step, with what the backend offers for it.

    It may train the model on the batch.

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
    import tensorflow as tf

    device = "GPU:0" if tf.config.list_logical_devices("GPU") else "CPU:0"
    memory = tf.config.experimental
    peaks = []
    # The first one still traces; the order of operations varies after it.
    for _ in range(1 + STEPS):
        try:
            memory.reset_memory_stats(device)
        except ValueError:
            # What it raises of an allocator that does not count.
            return NOT_COUNTED
        before = memory.get_memory_info(device)["current"]
        model.train_on_batch(x, y)
        peaks.append(memory.get_memory_info(device)["peak"] - before)
    peak = statistics.median(peaks[1:])
    if peak <= 0:
        return NOT_COUNTED
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
    import torch

    x, y = map(keras.ops.convert_to_tensor, (x, y))
    with torch.profiler.profile(profile_memory=True) as profile:
        model.train_on_batch(x, y)
    changes = sorted(
        (event.start_ns(), event.nbytes())
        for event in profile.profiler.kineto_results.events()
        if event.name() == "[memory]"
    )
    held = peak = 0
    for _, nbytes in changes:
        held += nbytes
        peak = max(peak, held)
    return PeakMemory(
        peak,
        "what PyTorch's allocators hand out at the peak of a step, less what "
        "is held between steps (weights, optimizer state)",
    )
