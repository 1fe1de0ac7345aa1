"""Memory of one training step against depth, each backend in its own way.

What grows with depth for any method, the weights, their gradients and the
state of the optimizer, is left out of the figures.
"""

import subprocess
import sys

import keras
import numpy as np

from benchmarks.stacks import STACKS
from benchmarks.stacks import random_batch

MEANING = {
    "tensorflow": "growth of the resident set from steps on a few samples, "
    "which have allocated weights and gradients, to steps on a whole batch; "
    "every figure from a process of its own",
    "jax": "temporary buffers of the compiled training step "
    "(memory_analysis), which exclude weights and optimizer state, less the "
    "bytes of the gradients",
    "torch": "peak of the bytes allocated during a step (torch.profiler), "
    "which exclude weights and optimizer state, less the bytes of the "
    "gradients",
}


def measure(kind, depths, width, batch_size):
    """Bytes of a step for every depth, of both methods."""
    step_bytes = {
        "tensorflow": _in_new_process,
        "jax": _compiled,
        "torch": _profiled,
    }[keras.backend.backend()]
    result = {
        "kind": kind,
        "width": width,
        "batch_size": batch_size,
        "depths": depths,
        "meaning": MEANING[keras.backend.backend()],
    }
    for method in STACKS:
        result[f"{method}_bytes"] = [
            step_bytes(method, kind, depth, width, batch_size)
            for depth in depths
        ]
        first, *_, last = result[f"{method}_bytes"]
        result[f"{method}_growth"] = last / first
    return result


def _compiled(method, kind, depth, width, batch_size):
    import jax

    model, batch = _model_and_batch(method, kind, depth, width, batch_size)
    model.optimizer.build(model.trainable_variables)
    state = [
        [variable.value for variable in group]
        for group in (
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
            model.metrics_variables,
        )
    ]
    step = jax.jit(model.train_step).lower(tuple(state), batch).compile()
    temporary = step.memory_analysis().temp_size_in_bytes
    return temporary - _gradient_bytes(model)


def _profiled(method, kind, depth, width, batch_size):
    import torch

    model, batch = _model_and_batch(method, kind, depth, width, batch_size)
    batch = [torch.from_numpy(array) for array in batch]
    model.train_on_batch(*batch)
    with torch.profiler.profile(profile_memory=True) as profile:
        model.train_on_batch(*batch)
    changes = sorted(
        (event.start_ns(), event.nbytes())
        for event in profile.profiler.kineto_results.events()
        if event.name() == "[memory]"
    )
    held = np.cumsum([nbytes for _, nbytes in changes])
    return int(held.max()) - _gradient_bytes(model)


def _in_new_process(method, kind, depth, width, batch_size):
    arguments = [method, kind, depth, width, batch_size]
    output = subprocess.run(
        [sys.executable, "-m", "benchmarks.resident_set", *map(str, arguments)],
        check=True,
        stdout=subprocess.PIPE,
    ).stdout
    return int(output.split()[-1])


def _model_and_batch(method, kind, depth, width, batch_size):
    keras.utils.clear_session()
    model = STACKS[method](kind, depth, width)
    x, y = random_batch(batch_size, width)
    model.train_on_batch(x[:1], y[:1])
    return model, (x, y)


def _gradient_bytes(model):
    return sum(
        int(np.prod(variable.shape)) * np.dtype(variable.dtype).itemsize
        for variable in model.trainable_variables
    )
