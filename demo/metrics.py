"""What the demo found, as a dictionary that JSON can hold."""

import dataclasses
import json

import keras

from benchmarks.measure import machine


def collect(settings, results):
    """Collects all numbers of the demo.

    Args:
        settings: the `Settings`.
        results: what `demo.experiment.run` returned.

    Returns:
        Dictionary.
    """
    local = results["forward_only"]
    names = [layer.name for layer in local.model.local_layers]
    return {
        "forward_only_accuracy": local.test["accuracy"],
        "backprop_accuracy": results["backprop"].test["accuracy"],
        "layer_accuracy": {n: local.test[f"{n}_accuracy"] for n in names},
        "layer_weight": dict(zip(names, map(float, local.weights[-1]))),
        "validation_accuracy": {
            name: result.history["val_accuracy"][-1]
            for name, result in results.items()
        },
        "test_images": local.test_images,
        "parameters": {
            name: result.model.count_params()
            for name, result in results.items()
        },
        "step_seconds": {
            name: result.step_seconds for name, result in results.items()
        },
        "step_peak_bytes": {
            name: result.step_memory.bytes for name, result in results.items()
        },
        "step_peak_bytes_are": local.step_memory.what,
        "configuration": {
            "dataset": "digits (scikit-learn), 8 x 8 pixels, 10 classes",
            "accuracy_of": "the test images, after the last epoch",
            "optimizer": "AdamW, cosine schedule",
            **dataclasses.asdict(settings),
        },
        "seed": settings.seed,
        "backend": keras.backend.backend(),
        "cpu_cores": machine.cores(),
        "versions": machine.versions(
            keras.backend.backend(), packages=("scikit-learn", "matplotlib")
        ),
    }


def save(path, metrics):
    """Writes the dictionary to a file."""
    path.write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
