import pickle

import jax
import numpy as np
from jax.experimental import multihost_utils


class JaxGroup:
    """The processes of `jax.distributed` that train one model together.

    All of them call the same methods in the same order.
    """

    advice = (
        "Every process is given all of the data and takes its share of each "
        "batch; what is its own part already needs a distribution made with "
        "auto_shard_dataset=False. keras.distribution.initialize gives all "
        "processes one seed: make the model after it."
    )

    def __init__(self):
        self.index = jax.process_index()
        self.size = jax.process_count()

    @classmethod
    def joined(cls):
        """The group that this process has joined, or `None`."""
        return cls() if jax.process_count() > 1 else None

    def gather(self, value):
        """The values of all processes, any that `pickle` knows, a list."""
        data = np.frombuffer(pickle.dumps(value), "uint8")
        sizes = self.gather_numbers(len(data))
        rows = self.gather_numbers(np.pad(data, (0, sizes.max() - len(data))))
        return [
            pickle.loads(row[:size].tobytes())
            for row, size in zip(rows, sizes.ravel())
        ]

    def gather_numbers(self, array):
        """Arrays of one shape, stacked in the order of the processes."""
        return multihost_utils.process_allgather(np.asarray(array))
