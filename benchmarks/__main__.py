"""Measures the local step against backpropagation on every backend.

One process a backend; prints a table and writes JSON and a plot.
"""

import argparse
import importlib.metadata
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile

from benchmarks.report import plot
from benchmarks.report import table

BACKENDS = ("tensorflow", "jax", "torch")
PACKAGES = ("keras", "numpy", "tensorflow-cpu", "tensorflow", "jax", "torch")


def main():
    options = _parse()
    options.output.mkdir(parents=True, exist_ok=True)
    shared = {
        "widths": options.widths,
        "layers": options.layers,
        "depths": options.depths,
        "memory_width": options.memory_width,
        "batch_size": options.batch_size,
        "repeats": options.repeats,
    }
    results = {
        "options": shared,
        "machine": _machine(),
        "versions": _versions(),
        "backends": {},
    }
    for backend in options.backends:
        print(f"Measuring {backend}", flush=True)
        results["backends"][backend] = _measure(backend, shared)
    path = options.output / "local_step.json"
    path.write_text(json.dumps(results, indent=2) + "\n")
    plot(results, options.output / "local_step.png")
    print(f"\n{table(results)}\n")
    print(f"Wrote {path} and {path.with_suffix('.png')}")


def _measure(backend, shared):
    with tempfile.TemporaryDirectory() as folder:
        output = pathlib.Path(folder) / "result.json"
        arguments = json.dumps({**shared, "output": str(output)})
        subprocess.run(
            [sys.executable, "-m", "benchmarks.worker", arguments],
            env={
                **os.environ,
                "KERAS_BACKEND": backend,
                "TF_CPP_MIN_LOG_LEVEL": "3",
            },
            check=True,
        )
        return json.loads(output.read_text())


def _parse():
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--backends", nargs="+", choices=BACKENDS, default=list(BACKENDS))
    add("--widths", nargs="+", type=int, default=[16, 32, 64])
    add("--layers", type=int, default=8, help="layers of the timed stacks")
    add("--depths", nargs="+", type=int, default=[4, 8, 16, 32, 64])
    add("--memory-width", type=int, default=16)
    add("--batch-size", type=int, default=32)
    add("--repeats", type=int, default=7)
    add("--quick", action="store_true", help="a few seconds, for tests")
    add(
        "--output",
        type=pathlib.Path,
        default=pathlib.Path(__file__).parent / "results",
    )
    options = parser.parse_args()
    if options.quick:
        options.widths, options.depths = [4], [2, 4]
        options.layers, options.memory_width = 2, 4
        options.batch_size, options.repeats = 4, 1
    return options


def _machine():
    name = platform.processor()
    try:
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                name = line.split(":", 1)[1].strip()
    except OSError:
        pass
    try:
        pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        pages = 0
    return {
        "processor": name,
        "cores": os.cpu_count(),
        "memory_gib": round(pages / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _versions():
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


if __name__ == "__main__":
    main()
