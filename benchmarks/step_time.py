import statistics

import keras
import numpy as np

from benchmarks.measure.in_turn import in_turn
from benchmarks.measure.step_time import step_seconds
from benchmarks.settings import KINDS
from benchmarks.stacks import STACKS
from benchmarks.stacks import count_products
from benchmarks.stacks import product_flops
from benchmarks.stacks import random_batch

# A visit is one `fit`: one step that does not count and these that do.
STEPS_PER_VISIT = 2


def measure(widths, depth, batch_size, repeats):
    """Step times of both methods for every kind of stack and width."""
    return [
        _compare(kind, depth, width, batch_size, repeats)
        for kind in KINDS
        for width in widths
    ]


def _compare(kind, depth, width, batch_size, repeats):
    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    x, y = random_batch(batch_size, width)
    count = 1 + STEPS_PER_VISIT
    x, y = np.tile(x, (count, 1, 1, 1)), np.tile(y, count)

    def visit(model):
        seconds = step_seconds(model, x, y, batch_size=batch_size)
        return statistics.median(seconds[1:])

    models = {name: make(kind, depth, width) for name, make in STACKS.items()}
    seconds = in_turn(visit, models, repeats)
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
