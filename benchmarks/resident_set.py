"""Prints the bytes by which TensorFlow's training steps make a process grow.

`python -m benchmarks.resident_set METHOD KIND DEPTH BATCH_SIZE`
"""

import ctypes
import gc
import sys
import threading

import psutil

from benchmarks.memory import WIDTH
from benchmarks.memory import built_model
from benchmarks.stacks import random_batch

# The order of a graph's operations varies, and with it the peak. Every depth
# gets as many chances of a high one.
LAYER_VISITS = 384


def main(method, kind, depth, batch_size):
    import tensorflow as tf

    depth = int(depth)
    model = built_model(method, kind, depth)
    x, y = map(tf.constant, random_batch(int(batch_size), WIDTH))
    # As in `fit` on arrays, the size of the batch is open.
    step = tf.function(model.train_step).get_concrete_function(
        tuple(tf.TensorSpec([None, *a.shape[1:]], a.dtype) for a in (x, y))
    )
    step(x[:1], y[:1])
    _give_back_free_memory()
    with PeakResidentSet() as resident:
        for _ in range(-(-LAYER_VISITS // depth)):
            step(x, y)
    print(resident.growth)


class PeakResidentSet:
    """Watches the resident set of this process from a thread.

    Attributes:
        growth: bytes, the largest size less the size at the start.
    """

    def __enter__(self):
        self._memory_info = psutil.Process().memory_info
        self._start = self._peak = self._memory_info().rss
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()
        self.growth = self._peak - self._start

    def _watch(self):
        while not self._done.wait(0.0005):
            self._peak = max(self._peak, self._memory_info().rss)


def _give_back_free_memory():
    """Frees what tracing left behind, where steps would find room unseen."""
    gc.collect()
    getattr(ctypes.CDLL(None), "malloc_trim", lambda _: None)(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
