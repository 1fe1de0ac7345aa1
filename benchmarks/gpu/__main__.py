"""Accuracy and speed on one GPU, sized to the time there is.

    python -m benchmarks.gpu --seconds 560 --data .gpu --output results
    python -m benchmarks.gpu --rehearse --seconds 150 --output results
    python -m benchmarks.gpu --dry-run --output results

Stages, each in a process of its own with a time of its own:

- `device`: what machine it is;
- `prototype`: the whitened chain with hyperspherical prototypes, three seeds;
- `resnet17`: CAW-Conv's published network and recipe, as many epochs as fit;
- `rates`: images a second of ResNet-17, CAW-Conv and backpropagation;
- `others`: the chain with CAW-Conv's assignment, and by backpropagation.

`results.jsonl` gets a line whenever something is known, `log.txt` what the
stages print, `caw-resnet17-cifar10-*.npz` the weights. `--rehearse` compiles
everything and runs a few steps on noise; with `--cache` the measurement then
finds the programs compiled.
"""

import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

from benchmarks.gpu import parts
from benchmarks.gpu.stage import STAGES

# The most seconds of a stage; ResNet-17 takes what the others leave.
LIMITS = {"device": 40, "prototype": 140, "rates": 60, "others": 90}
# What ResNet-17 leaves for the stages after it.
RESERVE = 100
# Seconds in which a process ends and the results are written.
MARGIN = 8


def main():
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu",
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--seconds", type=float, default=560, help="for all stages together")
    add("--output", required=True, help="folder of the results")
    add(
        "--data",
        nargs="+",
        default=[".gpu"],
        help="folders of the parts that benchmarks.gpu.prepare writes, or the "
        "folder of a cifar10.npz",
    )
    add("--cache", help="folder in which JAX keeps compiled programs")
    add("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument(
        "--rehearse",
        dest="mode",
        action="store_const",
        const="rehearse",
        help="the real networks, a few steps on noise",
    )
    modes.add_argument(
        "--dry-run",
        dest="mode",
        action="store_const",
        const="dry",
        help="tiny networks, a few steps on noise",
    )
    flags = parser.parse_args()
    end = time.time() + flags.seconds
    mode = flags.mode or "measure"
    output = pathlib.Path(flags.output)
    output.mkdir(parents=True, exist_ok=True)
    data = flags.data[0]
    if mode == "measure" and not (pathlib.Path(data) / "cifar10.npz").exists():
        data = str(pathlib.Path(flags.data[-1]) / "unpacked")
        start = time.time()
        parts.unpack(flags.data, pathlib.Path(data) / "cifar10.npz")
        print(f"Unpacked in {time.time() - start:.0f} s", flush=True)
    environment = {
        **os.environ,
        "KERAS_BACKEND": "jax",
        "PYTHONUNBUFFERED": "1",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    if flags.cache:
        environment["JAX_COMPILATION_CACHE_DIR"] = flags.cache
    for name in flags.stages:
        left = end - MARGIN - time.time()
        limit = left if mode == "dry" else min(left, LIMITS.get(name, left))
        later = flags.stages[flags.stages.index(name) + 1 :]
        if name == "resnet17" and mode == "measure" and later:
            limit = left - RESERVE
        if limit < 15:
            print(f"{name}: left out, {left:.0f} s are left", flush=True)
            continue
        settings = dict(
            output=str(output), data=data, end=time.time() + limit, mode=mode
        )
        code, seconds = run(name, settings, limit, environment, output)
        print(f"{name}: exit {code} after {seconds:.0f} s", flush=True)
    print(summary(output / "results.jsonl"))


def run(name, settings, limit, environment, output):
    """One stage; returns its exit status and how long it took."""
    start = time.time()
    with (output / "log.txt").open("a") as log:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "benchmarks.gpu.stage",
                name,
                json.dumps(settings),
            ],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        for wait, end in ((limit, signal.SIGTERM), (4, signal.SIGKILL)):
            try:
                process.wait(wait)
                break
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, end)
        code = process.wait()
    if code:
        print((output / "log.txt").read_text()[-1500:], flush=True)
    return code, time.time() - start


def summary(path):
    """What was measured, a line each."""
    lines = []
    records = path.read_text().splitlines() if path.exists() else []
    for record in map(json.loads, records):
        if record["kind"] in ("result", "rate", "matrix", "weights"):
            lines.append(json.dumps(record))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
