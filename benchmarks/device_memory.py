"""What training on a device costs: peak memory, time and size by depth.

    KERAS_BACKEND=tensorflow python -m benchmarks.device_memory

Exports CAW-Conv networks of several depths whose layers have the same shape,
and lets processes without Keras train and predict. Peak memory is that of the
process, with Python, NumPy and LiteRT (`base_mb`).
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import keras

import keras_ff
from benchmarks.measure import machine

RUN = r"""
import json, re, sys, time
sys.modules["keras"] = None
import numpy as np
from keras_ff.device import LiteRTTrainer
from keras_ff.device.program import Program

def peak():
    # Of this program alone; `getrusage` counts that which started it, too.
    status = open("/proc/self/status").read()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024

folder, way, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
trainer = LiteRTTrainer(folder, num_threads=1)
n = trainer.batch_size
random = np.random.default_rng(0)
x = random.normal(size=(n, size, size, 3)).astype("float32")
y = random.integers(0, 10, n)
import ai_edge_litert.interpreter
base = peak()
times = []
for _ in range(3):
    start = time.perf_counter()
    trainer.train_on_batch(x, y) if way == "train" else trainer.predict(x)
    times.append(time.perf_counter() - start)
print(json.dumps({"base_mb": base, "peak_mb": peak(),
                  "ms_a_sample": 1e3 * min(times) / n}))
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", nargs="+", type=int, default=[4, 16, 64])
    parser.add_argument("--filters", type=int, default=32)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--output", help="where the results go, as JSON")
    settings = parser.parse_args()
    rows = [_measure(layers, settings) for layers in settings.layers]
    results = {
        "machine": machine.hardware(),
        "settings": vars(settings),
        "versions": machine.versions("tensorflow", packages=["ai-edge-litert"]),
        "rows": rows,
    }
    if settings.output:
        text = json.dumps(results, indent=1) + "\n"
        pathlib.Path(settings.output).write_text(text)


def _measure(layers, settings):
    model = keras_ff.models.ForwardOnlyModel(
        [
            keras.Input((settings.size, settings.size, 3)),
            *[
                keras_ff.layers.CAWConv2D(
                    settings.filters, 3, 10, padding="same", dropout=0
                )
                for _ in range(layers)
            ],
        ]
    )
    model.compile(keras.optimizers.SGD(0.01))
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "exported")
        keras_ff.export_training(model, path, batch_size=settings.batch_size)
        row = {
            "layers": layers,
            "programs_kb": sum(f.stat().st_size for f in path.glob("*.tflite"))
            // 1000,
            "weights_kb": (path / "weights.npz").stat().st_size // 1000,
        }
        for way in ("train", "predict"):
            done = subprocess.run(
                [sys.executable, "-c", RUN, path, way, str(settings.size)],
                capture_output=True,
                check=True,
                text=True,
            )
            row[way] = json.loads(done.stdout)
    print(json.dumps(row), flush=True)
    return row


if __name__ == "__main__":
    main()
