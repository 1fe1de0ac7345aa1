import json
from pathlib import Path

from benchmarks import machine
from benchmarks import plot
from benchmarks import processes
from benchmarks import report
from benchmarks.settings import parse_arguments


def main():
    settings = parse_arguments()
    results = {
        "settings": vars(settings),
        "machine": machine.describe(),
        "backends": {
            backend: processes.run(
                "benchmarks.one_backend", backend, vars(settings)
            )
            for backend in settings.backends
        },
    }
    print(report.text(results))
    folder = Path(settings.output)
    folder.mkdir(parents=True, exist_ok=True)
    # Where the results lie says nothing about them.
    del results["settings"]["output"]
    (folder / "local_step.json").write_text(json.dumps(results, indent=2))
    plot.save(results, folder / "local_step.png")
    print(f"\nWritten: local_step.json and local_step.png in {folder}")


if __name__ == "__main__":
    main()
