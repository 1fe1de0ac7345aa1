"""Measures the backend that KERAS_BACKEND names.

`python -m benchmarks.one_backend SETTINGS OUTPUT`, both as `python -m
benchmarks` gives them.
"""

import json
import sys
from pathlib import Path

import keras

from benchmarks import array_fit
from benchmarks import rates
from benchmarks import step_time
from benchmarks.measure import processes


def main(settings, output):
    settings = json.loads(settings)
    batch_size, repeats = settings["batch_size"], settings["repeats"]
    _say("rates")
    results = {
        "rates": rates.measure(
            settings["widths"], batch_size, repeats, settings["matrix_size"]
        )
    }
    _say("step time")
    results["step_time"] = step_time.measure(
        settings["widths"], settings["layers"], batch_size, repeats
    )
    _say("fit on arrays")
    results["array_fit"] = array_fit.measure(settings["images"], repeats)
    _say("memory")
    # TensorFlow counts a CPU's memory with an allocator that it has no need
    # of otherwise.
    results["memory"] = processes.run(
        "benchmarks.memory.depth",
        keras.backend.backend(),
        settings,
        TF_CPU_ALLOCATOR_USE_BFC="true",
    )
    Path(output).write_text(json.dumps(results))


def _say(what):
    print(f"{keras.backend.backend()}: {what} ...", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
