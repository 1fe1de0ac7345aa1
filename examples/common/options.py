"""The command line of the examples."""

import argparse
import pathlib

from keras_ff import contributions
from keras_ff import files

DTYPES = ("float32", "mixed_bfloat16", "mixed_float16")
DATASETS = (
    "mnist",
    "fashion_mnist",
    "cifar10",
    "cifar100",
    "tiny_imagenet",
    "imagenet2012",
    "digits",
)


def positive_int(text):
    return _number(int, text, lambda value: value > 0, "a positive integer")


def positive_float(text):
    return _number(
        float,
        text,
        lambda value: 0 < value < float("inf"),
        "a positive number",
    )


def seed(text):
    return _number(
        int,
        text,
        lambda value: 0 <= value < 2**32,
        "an integer from 0 to 2**32 - 1",
    )


def _number(kind, text, fits, expected):
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not fits(value):
        raise argparse.ArgumentTypeError(f"must be {expected}, received {text}")
    return value


def folder(text):
    try:
        return pathlib.Path(files.check_folder("folder", text or "."))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def existing_folder(text):
    path = folder(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {text}")
    return path


def parser(description, architectures):
    flags = argparse.ArgumentParser(
        description=description,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = flags.add_argument
    add("--dataset", choices=DATASETS, default="fashion_mnist")
    add("--data-dir", help="folder of prepared TFDS data")
    add("--architecture", choices=architectures, default=architectures[0])
    add("--width-multiplier", type=positive_float, default=1.0)
    add("--epochs", type=positive_int, default=10)
    add("--batch-size", type=positive_int, default=128)
    add("--seed", type=seed, default=0)
    add("--validation-split", type=float, default=0.1)
    add("--augment", action="store_true", help="shifts and flips")
    add("--dtype", choices=DTYPES, default="float32")
    add("--output", type=folder, required=True, help="folder of the run")
    return flags


def add_contribution(flags, default):
    flags.add_argument(
        "--contribution", choices=contributions.names(), default=default
    )


def contribution(flags):
    return contributions.get(flags.contribution)
