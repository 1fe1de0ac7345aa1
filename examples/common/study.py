"""The runs of a study: what is written already is not run again."""

import keras

from benchmarks.measure import machine
from examples.common import folder


def run_all(path, settings, seeds, variants, train):
    """Trains all variants with all seeds, and writes after every run.

    Args:
        path: path of the JSON file of the results.
        settings: dict, what all runs share; results under others are refused.
        seeds: list of ints.
        variants: function `(seed, results) -> names`, asked before each seed.
        train: function `(variant, seed) -> dict`, with `test_accuracy`.

    Returns:
        Dict: `settings`, `hardware`, and `runs`, by variant and seed.
    """
    settings = {**settings, "backend": keras.backend.backend()}
    results = {
        "settings": settings,
        "hardware": machine.hardware(),
        "runs": {},
    }
    if path.exists():
        results = folder.read_json(path, results)
        folder.refuse_other(path, results["settings"], settings)
    for seed in seeds:
        for variant in variants(seed, results):
            runs = results["runs"].setdefault(variant, {})
            if str(seed) in runs:
                continue
            runs[str(seed)] = train(variant, seed)
            folder.write_json(path, results)
            accuracy = runs[str(seed)]["test_accuracy"]
            print(f"{variant}, seed {seed}: {accuracy:.2%}", flush=True)
    return results
