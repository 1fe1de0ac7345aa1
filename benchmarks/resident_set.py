"""Prints the bytes by which training steps make this process grow.

`python -m benchmarks.resident_set METHOD KIND DEPTH WIDTH BATCH_SIZE`
"""

import sys
import threading

import psutil

from benchmarks.stacks import STACKS
from benchmarks.stacks import random_batch

STEPS = 3


def main(method, kind, depth, width, batch_size):
    depth, width, batch_size = int(depth), int(width), int(batch_size)
    model = STACKS[method](kind, depth, width)
    x, y = random_batch(batch_size, width)
    # After two sizes the batch axis of the traced step has no fixed size.
    for size in (1, 2, 3, 3):
        model.train_on_batch(x[:size], y[:size])
    with PeakResidentSet() as resident:
        for _ in range(STEPS):
            model.train_on_batch(x, y)
    print(resident.growth)


class PeakResidentSet:
    """Watches the resident set of this process from a thread.

    Attributes:
        growth: bytes, the largest size less the size at the start.
    """

    def __enter__(self):
        self._resident = psutil.Process().memory_info
        self._start = self._peak = self._resident().rss
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
            self._peak = max(self._peak, self._resident().rss)


if __name__ == "__main__":
    main(*sys.argv[1:])
