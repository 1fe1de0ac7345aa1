"""What the benchmarks that measure every backend have in common."""

import argparse
import importlib.util
import json
import sys
from pathlib import Path

from benchmarks.measure import machine
from benchmarks.measure import processes

BACKENDS = ("tensorflow", "jax", "torch")
# Where things lie says nothing about the results.
PATHS = ("output", "data_dir", "models")


def make_parser(name, description):
    """A parser with the flags of every benchmark."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {name}",
        description=description,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    installed = [b for b in BACKENDS if importlib.util.find_spec(b)]
    add = parser.add_argument
    add("--backends", nargs="+", choices=BACKENDS, default=installed)
    add("--output", default=str(Path(__file__).parent / "results"))
    add("--quick", action="store_true", help="tiny sizes, to see that it runs")
    return parser


def parse(parser, quick):
    """The settings as a dict; `quick` are the defaults with `--quick`."""
    if "--quick" in sys.argv:
        parser.set_defaults(**quick)
    return vars(parser.parse_args())


def measure_backends(module, settings, file_name, **environment):
    """Runs a module on every backend; see `write_backends`.

    Its processes see `environment` besides this one's.
    """
    return write_backends(
        lambda backend: processes.run(module, backend, settings, **environment),
        settings,
        file_name,
    )


def write_backends(measure, settings, file_name):
    """Measures every backend; what there is is written after each.

    Args:
        measure: function of the backend's name.
        settings: dict.
        file_name: string, of the results.

    Returns:
        The results: settings, machine, and by backend what was measured.
    """
    path = Path(settings["output"]) / file_name
    path.parent.mkdir(parents=True, exist_ok=True)
    results = {
        "settings": {k: v for k, v in settings.items() if k not in PATHS},
        "machine": machine.describe(),
        "backends": {},
    }
    for backend in settings["backends"]:
        results["backends"][backend] = measure(backend)
        path.write_text(json.dumps(results, indent=2))
    print(f"Written: {path}")
    return results


def start(main, measure):
    """Runs `main`, or `measure` in the process that `processes` made."""
    if sys.argv[1:] and sys.argv[1].startswith("{"):
        measure(json.loads(sys.argv[1]), sys.argv[2])
    else:
        main()
