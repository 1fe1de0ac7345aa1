import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import machine
from benchmarks import plot
from benchmarks import report
from benchmarks.settings import parse_arguments


def main():
    settings = parse_arguments()
    results = {
        "settings": vars(settings),
        "machine": machine.describe(),
        "backends": {
            backend: _run(backend, vars(settings))
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


def _run(backend, settings):
    """Measures one backend in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        output = os.path.join(folder, "results.json")
        subprocess.run(
            [
                sys.executable,
                "-m",
                "benchmarks.one_backend",
                json.dumps(settings),
                output,
            ],
            check=True,
            env={
                "TF_CPP_MIN_LOG_LEVEL": "3",
                **os.environ,
                "KERAS_BACKEND": backend,
            },
        )
        return json.loads(Path(output).read_text())


if __name__ == "__main__":
    main()
