"""The hardware and the versions that results belong to."""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

PACKAGES = ("keras", "keras_ff", "numpy")
DISTRIBUTIONS = {
    "tensorflow": ("tensorflow", "tensorflow-cpu"),
    "jax": ("jax", "jaxlib"),
    "torch": ("torch",),
}


def describe():
    """Dictionary of the machine, its Python and all backends."""
    import psutil

    packages = versions(*DISTRIBUTIONS)
    return {
        "cpu": cpu(),
        "cores": cores(),
        "accelerator": accelerator(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": packages.pop("python"),
        "packages": packages,
    }


def hardware():
    """Dictionary of what computes, as runs of a training keep it."""
    return {
        "processor": cpu(),
        "cores": cores(),
        "accelerator": accelerator(),
    }


def versions(*backends, packages=()):
    """Versions of Python and of what is installed of these packages.

    Args:
        backends: names of backends, whose packages count too.
        packages: further names.
    """
    found = {"python": platform.python_version()}
    names = [name for backend in backends for name in DISTRIBUTIONS[backend]]
    for name in (*PACKAGES, *names, *packages):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def cpu():
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2] for line in lines if "model name" in line]
    return names[0].strip() if names else platform.processor()


def cores():
    """The processor's cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def accelerator():
    """The GPU's name, as its driver gives it, or `None`."""
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout.strip() or None
