"""What the demo found, as a dictionary that JSON can hold."""

import dataclasses
import importlib.metadata
import json
import os
import platform

import keras

import keras_ff

PACKAGES = ("keras", "numpy", "scikit-learn", "matplotlib")
DISTRIBUTIONS = {
    "tensorflow": ("tensorflow", "tensorflow-cpu"),
    "jax": ("jax",),
    "torch": ("torch",),
}


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
        "cpu_cores": _cpu_cores(),
        "versions": _versions(),
    }


def save(path, metrics):
    """Writes the dictionary to a file."""
    path.write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")


def _cpu_cores():
    # Those this process may use, where the system tells.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _versions():
    versions = {
        "python": platform.python_version(),
        "keras_ff": keras_ff.__version__,
    }
    for name in PACKAGES + DISTRIBUTIONS[keras.backend.backend()]:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
