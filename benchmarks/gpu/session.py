"""What the stages share: records, time left, data, and how a run is sized."""

import dataclasses
import json
import pathlib
import time

import numpy as np

# Divides 1,000 validation and 10,000 test images: one program for all.
TEST_BATCH_SIZE = 500


@dataclasses.dataclass
class Session:
    """One stage of the benchmark.

    Args:
        stage: string, its name.
        output: folder of the results.
        data: folder with `cifar10.npz`.
        end: float, the time (`time.time()`) when it has to be done.
        mode: `"measure"`, `"rehearse"` (the real networks, a few steps on
            noise: compiles everything) or `"dry"` (tiny networks too).
    """

    stage: str
    output: str
    data: str
    end: float
    mode: str

    @property
    def real(self):
        return self.mode == "measure"

    @property
    def dry(self):
        return self.mode == "dry"

    def batch_size(self, size):
        return 16 if self.dry else size

    def left(self):
        """Seconds that are left."""
        return self.end - time.time()

    def record(self, kind, **values):
        """Appends a line to `results.jsonl`."""
        line = json.dumps({"stage": self.stage, "kind": kind, **_plain(values)})
        path = pathlib.Path(self.output) / "results.jsonl"
        with path.open("a") as file:
            file.write(line + "\n")
        print(line[:400], flush=True)

    def arrays(self, batch_size, validation_split, seed):
        """Training, validation and test images, on the device."""
        import keras

        import keras_ff

        if self.real:
            splits = keras_ff.datasets.load_arrays(
                "cifar10",
                self.data,
                validation_split,
                seed,
                download=False,
                raw=True,
            )
        else:
            generator = np.random.default_rng(seed)

            def noise(size):
                return (
                    generator.integers(0, 256, (size, 32, 32, 3), "uint8"),
                    generator.integers(0, 10, size, "int32"),
                )

            size = self.batch_size(TEST_BATCH_SIZE)
            splits = noise(6 * batch_size), noise(size), noise(size)
        return [
            split
            and keras.tree.map_structure(keras.ops.convert_to_tensor, split)
            for split in splits
        ]


def setup(dtype="mixed_bfloat16", seed=0):
    import keras

    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    keras.config.set_dtype_policy(dtype)


def percent(result):
    """The accuracies of `evaluate(..., return_dict=True)` in percent."""
    return {
        key.removesuffix("_accuracy"): round(100 * float(value), 3)
        for key, value in result.items()
        if key.endswith("accuracy")
    }


def peak_memory_gib():
    import jax

    statistics = jax.local_devices()[0].memory_stats() or {}
    return statistics.get("peak_bytes_in_use", 0) / 2**30


def _plain(value):
    if isinstance(value, dict):
        return {key: _plain(x) for key, x in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(x) for x in value]
    if hasattr(value, "item"):
        value = value.item()
    return round(value, 5) if isinstance(value, float) else value
