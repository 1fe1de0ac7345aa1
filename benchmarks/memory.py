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

# A narrow stack and a large batch: activations outweigh all else by far.
WIDTH = 16
BATCHES = 2

MEANING = {
    "tensorflow": "growth of the resident set from a traced step on one "
    "sample, which has allocated weights, gradients and the graph, to steps "
    "on a whole batch; every figure from a process of its own",
    "jax": "temporary buffers of the compiled training step "
    "(memory_analysis), which exclude weights and optimizer state, less the "
    "bytes of the gradients",
    "torch": "peak of the bytes allocated during a step (torch.profiler), "
    "which exclude weights and optimizer state, less the bytes of the "
    "gradients",
}


def measure(kinds, depths, batch_size):
    """Bytes of a step, of both methods.

    Bare stacks are measured at all depths, others at the least and greatest.
    """
    ends = [min(depths), max(depths)]
    return [
        _compare(
            kind,
            sorted(depths) if kind == "bare" else ends,
            BATCHES * batch_size,
        )
        for kind in kinds
    ]


def built_model(method, kind, depth):
    """A model that has all its variables, those of its metrics too."""
    keras.utils.clear_session()
    model = STACKS[method](kind, depth, WIDTH)
    # What is measured is compiled elsewhere.
    model.run_eagerly = True
    model.train_on_batch(*random_batch(1, WIDTH))
    return model


def _compare(kind, depths, batch_size):
    backend = keras.backend.backend()
    step_bytes = {
        "tensorflow": _in_new_process,
        "jax": _compiled,
        "torch": _profiled,
    }[backend]
    result = {
        "kind": kind,
        "width": WIDTH,
        "batch_size": batch_size,
        "depths": depths,
        "meaning": MEANING[backend],
    }
    for method in STACKS:
        values = [step_bytes(method, kind, d, batch_size) for d in depths]
        result[f"{method}_bytes"] = values
        result[f"{method}_growth"] = values[-1] / values[0]
    return result


def _in_new_process(*arguments):
    output = subprocess.run(
        [sys.executable, "-m", "benchmarks.resident_set", *map(str, arguments)],
        check=True,
        stdout=subprocess.PIPE,
    ).stdout
    return int(output.split()[-1])


def _compiled(method, kind, depth, batch_size):
    import jax

    model = built_model(method, kind, depth)
    state = tuple(
        [variable.value for variable in group]
        for group in (
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
            model.metrics_variables,
        )
    )
    batch = random_batch(batch_size, WIDTH)
    step = jax.jit(model.train_step).lower(state, batch).compile()
    temporary = step.memory_analysis().temp_size_in_bytes
    return temporary - _gradient_bytes(model)


def _profiled(method, kind, depth, batch_size):
    import torch

    model = built_model(method, kind, depth)
    batch = [torch.from_numpy(a) for a in random_batch(batch_size, WIDTH)]
    with torch.profiler.profile(profile_memory=True) as profile:
        model.train_on_batch(*batch)
    changes = sorted(
        (event.start_ns(), event.nbytes())
        for event in profile.profiler.kineto_results.events()
        if event.name() == "[memory]"
    )
    held = np.cumsum([nbytes for _, nbytes in changes])
    return int(held.max()) - _gradient_bytes(model)


def _gradient_bytes(model):
    return sum(
        int(np.prod(variable.shape)) * np.dtype(variable.dtype).itemsize
        for variable in model.trainable_variables
    )
