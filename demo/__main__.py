"""Trains the same network with and without backpropagation and compares."""

import argparse
import pathlib
import time

from demo.experiment import run
from demo.figure import draw_figure
from demo.metrics import collect
from demo.metrics import save
from demo.page import write_page
from demo.settings import Settings
from demo.table import format_table


def main(arguments=None):
    options = _parse(arguments)
    start = time.perf_counter()
    settings = Settings(epochs=options.epochs, seed=options.seed)
    results = run(settings)
    metrics = collect(settings, results)
    print(f"\n{format_table(metrics)}\n")

    options.output.mkdir(parents=True, exist_ok=True)
    draw_figure(metrics, results).savefig(options.output / "report.png")
    write_page(options.output / "report.html", metrics, results)
    metrics["seconds"] = time.perf_counter() - start
    save(options.output / "metrics.json", metrics)
    for name in ("metrics.json", "report.png", "report.html"):
        print(f"Wrote {options.output / name}")
    print(f"The demo took {metrics['seconds']:.0f} s.")


def _parse(arguments):
    here = pathlib.Path(__file__).parent
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--epochs", type=_positive, default=Settings.epochs)
    parser.add_argument("--seed", type=int, default=Settings.seed)
    parser.add_argument(
        "--output",
        type=pathlib.Path,
        default=here,
        help="folder of metrics.json, report.png and report.html "
        "(default: demo)",
    )
    return parser.parse_args(arguments)


def _positive(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {text}")
    return number


if __name__ == "__main__":
    main()
