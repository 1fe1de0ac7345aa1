"""Many random models, resumable: `python -m tests.fuzz --help`.

A run is cut into chunks with seeds of their own. What a chunk found is
written when it ends; a run that is started again goes on with the next one.
Numbers that all backends must find alike are kept and compared with those of
the backends that ran the same chunk before. `--shrink N` runs chunk N again
and prints the smallest configuration that fails.
"""

import argparse
import collections
import json
import os
import pathlib
import sys
import time
import traceback

ROOT = pathlib.Path(__file__).parents[2]
CHUNK = 50

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--examples", type=int, default=1000)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--backend", default="torch")
parser.add_argument(
    "--output", default=str(ROOT / "benchmarks" / "results" / "fuzz")
)
parser.add_argument("--numbers", default=str(ROOT / "runs" / "fuzz"))
parser.add_argument("--shrink", type=int)
flags = parser.parse_args()

os.environ["KERAS_BACKEND"] = flags.backend
import numpy as np  # noqa: E402
from hypothesis import HealthCheck  # noqa: E402
from hypothesis import Phase  # noqa: E402
from hypothesis import given  # noqa: E402
from hypothesis import seed  # noqa: E402
from hypothesis import settings  # noqa: E402

import tests.conftest  # noqa: E402, F401  (the suite's threads and caches)
from tests.fuzz.configurations import configurations  # noqa: E402
from tests.fuzz.properties import Refused  # noqa: E402
from tests.fuzz.properties import check  # noqa: E402
from tests.fuzz.properties import uses_layers  # noqa: E402

TOLERANCE = 2e-4


def sweep(number, test, phases=(Phase.generate,)):
    """Gives a test the configurations of a chunk."""

    @seed(flags.seed * 100_003 + number)
    @settings(
        max_examples=CHUNK,
        database=None,
        deadline=None,
        phases=phases,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(configurations())
    def holds(configuration):
        test(configuration)

    holds()


def run(number):
    """One chunk: what ran, what was refused, what failed."""
    counts = collections.Counter()
    kinds = collections.Counter()
    refusals = collections.Counter()
    numbers = {}
    failures = []

    def test(configuration):
        counts["run"] += 1
        kinds.update(uses_layers(configuration))
        try:
            found = check(configuration)
        except Refused as refusal:
            counts["refused"] += 1
            refusals[str(refusal)[:100]] += 1
            return
        except Exception as error:
            counts["failed"] += 1
            failures.append(
                {
                    "error": f"{type(error).__name__}: {error}"[:1000],
                    "traceback": traceback.format_exc()[-2000:],
                    "configuration": configuration,
                }
            )
            return
        key = json.dumps(configuration, sort_keys=True)
        for name, value in found.items():
            numbers[f"{key}|{name}"] = value

    sweep(number, test)
    return {
        "chunk": number,
        "counts": dict(counts),
        "layers": dict(kinds),
        "refusals": dict(refusals),
        "failures": failures,
        "disagreements": compare(number, numbers),
    }


def fails(configuration):
    try:
        check(configuration)
    except Refused:
        pass


def compare(number, numbers):
    """Holds this backend's numbers against those of the others."""
    folder = pathlib.Path(flags.numbers) / f"seed-{flags.seed}"
    folder.mkdir(parents=True, exist_ok=True)
    own = folder / f"{number}-{flags.backend}.npz"
    np.savez_compressed(own, **numbers)
    found = []
    for path in folder.glob(f"{number}-*.npz"):
        if path == own:
            continue
        with np.load(path) as other:
            for key in set(other.files) & set(numbers):
                a, b = numbers[key], other[key]
                scale = max(1.0, float(np.abs(b).max(initial=0.0)))
                off = float(np.abs(a - b).max(initial=0.0)) / scale
                if not off < TOLERANCE:
                    found.append([path.stem, off, key])
    return sorted(found, key=lambda row: -row[1])[:3]


def main():
    if flags.shrink is not None:
        sweep(flags.shrink, fails, (Phase.generate, Phase.shrink))
        return
    folder = pathlib.Path(flags.output) / f"seed-{flags.seed}"
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{flags.backend}.jsonl"
    lines = log.read_text().splitlines() if log.exists() else []
    done = {json.loads(line)["chunk"] for line in lines}
    for number in range(-(-flags.examples // CHUNK)):
        if number in done:
            continue
        start = time.time()
        result = run(number)
        result["seconds"] = round(time.time() - start, 1)
        with log.open("a") as file:
            file.write(json.dumps(result) + "\n")
        print(
            f"{flags.backend} chunk {number}: {result['counts']}, "
            f"{result['seconds']} s"
        )
        for failure in result["failures"]:
            print("  " + failure["error"][:200].replace("\n", " "))
        for stem, off, key in result["disagreements"]:
            print(f"  differs from {stem} by {off:.2g}: {key[-30:]}")
        sys.stdout.flush()


main()
