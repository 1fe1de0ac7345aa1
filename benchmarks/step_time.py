import statistics
import time

import keras
import numpy as np

from benchmarks.settings import KINDS
from benchmarks.stacks import STACKS
from benchmarks.stacks import count_products
from benchmarks.stacks import product_flops
from benchmarks.stacks import random_batch

# A visit is one `fit`: one step that does not count and these that do.
STEPS_PER_VISIT = 2


class StepTimer(keras.callbacks.Callback):
    """Takes the time of every training step that `fit` makes."""

    def on_train_begin(self, logs=None):
        self.seconds = []

    def on_train_batch_begin(self, batch, logs=None):
        self._start = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        # Reading the loss waits for a step that runs asynchronously.
        float(logs["loss"])
        self.seconds.append(time.perf_counter() - self._start)


def measure(widths, depth, batch_size, repeats):
    """Step times of both methods for every kind of stack and width."""
    return [
        _compare(kind, depth, width, batch_size, repeats)
        for kind in KINDS
        for width in widths
    ]


def _compare(kind, depth, width, batch_size, repeats):
    """Visits the two methods in turn, so that both see the same noise."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    x, y = random_batch(batch_size, width)
    count = 1 + STEPS_PER_VISIT
    x, y = np.tile(x, (count, 1, 1, 1)), np.tile(y, count)
    models = {name: make(kind, depth, width) for name, make in STACKS.items()}

    def visit(name):
        timer = StepTimer()
        models[name].fit(
            x,
            y,
            batch_size=batch_size,
            shuffle=False,
            verbose=0,
            callbacks=[timer],
        )
        return statistics.median(timer.seconds[1:])

    for name in models:
        visit(name)
    seconds = {name: [] for name in models}
    for repeat in range(repeats):
        # Each goes first as often as the other.
        for name in sorted(models, reverse=bool(repeat % 2)):
            seconds[name].append(visit(name))
    ratios = np.divide(seconds["local"], seconds["backprop"])
    flops = product_flops(batch_size, width)
    result = {
        "kind": kind,
        "depth": depth,
        "width": width,
        "batch_size": batch_size,
        "ratio": float(np.median(ratios)),
        "ratio_quartiles": np.quantile(ratios, (0.25, 0.75)).tolist(),
    }
    for name, values in seconds.items():
        median = statistics.median(values)
        result[f"{name}_seconds"] = median
        result[f"{name}_gflops"] = (
            count_products(name, depth) * flops / median / 1e9
        )
    return result
