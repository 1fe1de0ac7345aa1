"""Memory and time of a step by backpropagation, and of local blocks.

    python -m benchmarks.memory --backends torch --networks resnet50

Every figure is taken in a process of its own and written at once; the same
command goes on where it stopped.
"""

import json
import subprocess
import sys
from pathlib import Path

from benchmarks import script
from benchmarks.measure import machine
from benchmarks.measure import processes
from benchmarks.memory.networks import NETWORKS
from benchmarks.memory.ways import WAYS

QUICK = {
    "networks": ["transformer"],
    "ways": ["backpropagation", "local_8"],
    "batch_size": 2,
    "repeats": 1,
}


def main():
    parser = script.make_parser("benchmarks.memory", __doc__.splitlines()[0])
    add = parser.add_argument
    add("--networks", nargs="+", choices=NETWORKS, default=[*NETWORKS])
    add("--ways", nargs="+", choices=WAYS, default=[*WAYS])
    add("--image-size", type=int, default=64)
    add("--batch-size", type=int, default=24)
    add("--repeats", type=int, default=2, help="timed steps; 0 takes no time")
    settings = script.parse(parser, QUICK)
    path = Path(settings["output"]) / "memory.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    results = {"machine": machine.describe(), "rows": []}
    if path.exists():
        results = json.loads(path.read_text())
    failed = []
    for row in _missing(settings, results["rows"]):
        backend = row.pop("backend")
        try:
            found = processes.run(
                "benchmarks.memory.one_way",
                backend,
                {**row, "repeats": settings["repeats"]},
                # TensorFlow counts the memory of a CPU only if told to.
                TF_CPU_ALLOCATOR_USE_BFC="true",
            )
        except subprocess.CalledProcessError:
            # Not every backend can go every way; its error is printed.
            failed.append(f"{row['network']}, {row['way']}, on {backend}")
            continue
        results["rows"].append({"backend": backend, **found})
        path.write_text(json.dumps(results, indent=2))
    print(table(results["rows"]))
    print(f"\nWritten: {path}")
    if failed:
        sys.exit(f"Not measured, see the errors above: {'; '.join(failed)}")


def _missing(settings, rows):
    """What is asked for and not measured yet."""
    for backend in settings["backends"]:
        for network in settings["networks"]:
            for way in settings["ways"]:
                row = {
                    "backend": backend,
                    "network": network,
                    "way": way,
                    "image_size": settings["image_size"],
                    "batch_size": settings["batch_size"],
                }
                if not any(row.items() <= done.items() for done in rows):
                    yield row


def table(rows):
    """The rows as a Markdown table, beside backpropagation."""
    lines = [
        "| backend | network | way | activations, MiB | of backpropagation's "
        "| at the peak, MiB | ms an image |",
        "|---|---|---|---|---|---|---|",
    ]
    whole = {_place(x): x for x in rows if x["way"] == "backpropagation"}
    for row in rows:
        other = whole.get(_place(row))
        if row["peak_bytes"] is None:
            sizes = ["not measured", "", ""]
        else:
            share = other and f"{_activations(row) / _activations(other):.2f}"
            sizes = [
                f"{_activations(row) / 2**20:.0f}",
                share or "",
                f"{row['peak_bytes'] / 2**20:.0f}",
            ]
        seconds = row["seconds_per_image"]
        cells = [
            row["backend"],
            f"{row['network']}, {row['image_size']} px, {row['batch_size']}",
            row["way"].replace("_", ", "),
            *sizes,
            "" if seconds is None else f"{1000 * seconds:.0f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _place(row):
    return tuple(
        row[key] for key in ("backend", "network", "image_size", "batch_size")
    )


def _activations(row):
    return row["peak_bytes"] - row["gradient_bytes"]


if __name__ == "__main__":
    main()
