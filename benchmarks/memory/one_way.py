"""Measures one way to train one network on one backend.

`python -m benchmarks.memory.one_way SETTINGS OUTPUT`, as `python -m
benchmarks.memory` gives them.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.measure.memory import peak_memory
from benchmarks.memory.networks import NETWORKS
from benchmarks.memory.networks import random_batch
from benchmarks.memory.ways import WAYS


def main(settings, output):
    Path(output).write_text(json.dumps(measure(**json.loads(settings))))


def measure(network, way, image_size, batch_size, repeats):
    """Bytes at the peak of a step, and seconds an image.

    Gradients, which every way holds in full before the optimizer sees them,
    are told apart. Without `repeats` no time is taken.
    """
    model, parts = WAYS[way](lambda: NETWORKS[network](image_size))
    x, y = random_batch(model, batch_size)
    batches = [(x[i::parts], y[i::parts]) for i in range(parts)]
    # Makes all variables, those of the metrics too, and compiles nothing.
    model.run_eagerly = True
    model.train_on_batch(x[:1], y[:1])
    model.run_eagerly = False
    peak = peak_memory(model, *batches[0])
    seconds = [_seconds(model, batches) for _ in range(1 + repeats)]
    return {
        "network": network,
        "way": way,
        "image_size": image_size,
        "batch_size": batch_size,
        "peak_bytes": peak.bytes,
        "gradient_bytes": sum(
            int(np.prod(v.shape)) * np.dtype(v.dtype).itemsize
            for v in model.trainable_variables
        ),
        "meaning": peak.what,
        "seconds_per_image": min(seconds[1:]) / batch_size if repeats else None,
    }


def _seconds(model, batches):
    start = time.perf_counter()
    for batch in batches:
        # Its result is a number: the step is done.
        float(model.train_on_batch(*batch, return_dict=True)["loss"])
    return time.perf_counter() - start


if __name__ == "__main__":
    main(*sys.argv[1:])
