import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

PACKAGES = (
    "keras",
    "keras_ff",
    "numpy",
    "tensorflow",
    "tensorflow-cpu",
    "jax",
    "jaxlib",
    "torch",
)


def describe():
    """The hardware and the versions that results belong to."""
    import psutil

    return {
        "cpu": cpu(),
        "cores": os.cpu_count(),
        "accelerator": accelerator(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": dict(filter(lambda item: item[1], map(_version, PACKAGES))),
    }


def cpu():
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2] for line in lines if "model name" in line]
    return names[0].strip() if names else platform.processor()


def accelerator():
    """The GPU's name, as its driver gives it, or `None`."""
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout.strip() or None


def _version(package):
    try:
        return package, importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return package, None
