from pathlib import Path

from benchmarks import data_parallel
from benchmarks import plot
from benchmarks import report
from benchmarks import script
from benchmarks.settings import parse_arguments


def main():
    settings = parse_arguments()
    results = script.measure_backends(
        "benchmarks.one_backend", settings, "local_step.json"
    )
    print(report.text(results))
    picture = Path(settings["output"]) / "local_step.png"
    plot.save(results, picture)
    print(f"\nWritten: {picture}\n")
    data_parallel.run(data_parallel.settings_like(settings))


if __name__ == "__main__":
    main()
