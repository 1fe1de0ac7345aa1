"""Measures one backend and writes JSON: `python -m benchmarks.worker JSON`."""

import json
import pathlib
import sys

import keras

from benchmarks import memory
from benchmarks import rates
from benchmarks import step_time


def main(arguments):
    options = json.loads(arguments)
    output = pathlib.Path(options.pop("output"))
    kinds = ("bare", "published")
    result = {
        "backend": keras.backend.backend(),
        "keras": keras.__version__,
        "rates": rates.measure(
            options["widths"], options["batch_size"], options["repeats"]
        ),
        "step_time": step_time.measure(
            options["widths"],
            options["layers"],
            options["batch_size"],
            options["repeats"],
        ),
        "memory": [
            memory.measure(
                kind,
                options["depths"],
                options["memory_width"],
                options["batch_size"],
            )
            for kind in kinds
        ],
    }
    output.write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main(sys.argv[1])
