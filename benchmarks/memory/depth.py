"""Memory of one training step against depth, each backend in its own way.

What grows with depth for any method, the weights, their gradients and the
state of the optimizer, is left out of the figures.

`python -m benchmarks.memory.depth SETTINGS OUTPUT`, as `benchmarks.one_backend`
gives them.
"""

import json
import sys
from pathlib import Path

import keras
import numpy as np

from benchmarks.measure.memory import peak_memory
from benchmarks.stacks import STACKS
from benchmarks.stacks import random_batch

# A narrow stack and a large batch: activations outweigh all else by far.
WIDTH = 16
BATCHES = 2


def main(settings, output):
    settings = json.loads(settings)
    results = measure(
        settings["memory_stacks"], settings["depths"], settings["batch_size"]
    )
    Path(output).write_text(json.dumps(results))


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


def _compare(kind, depths, batch_size):
    result = {
        "kind": kind,
        "width": WIDTH,
        "batch_size": batch_size,
        "depths": depths,
    }
    for method in STACKS:
        peaks = [_peak(method, kind, depth, batch_size) for depth in depths]
        values, (what, *_) = zip(*peaks)
        result["meaning"] = f"{what}, less the bytes of the gradients"
        result[f"{method}_bytes"] = list(values)
        result[f"{method}_growth"] = values[-1] / values[0]
    return result


def _peak(method, kind, depth, batch_size):
    keras.utils.clear_session()
    model = STACKS[method](kind, depth, WIDTH)
    x, y = random_batch(batch_size, WIDTH)
    # Makes all variables, those of the metrics too, and compiles nothing.
    model.run_eagerly = True
    model.train_on_batch(x[:1], y[:1])
    model.run_eagerly = False
    peak = peak_memory(model, x, y)
    gradients = sum(
        int(np.prod(variable.shape)) * np.dtype(variable.dtype).itemsize
        for variable in model.trainable_variables
    )
    return peak.bytes - gradients, peak.what


if __name__ == "__main__":
    main(*sys.argv[1:])
