"""The same split for every method and seed, and the last images validate."""

import functools

import keras

import keras_ff
from examples import reproduce
from keras_ff.datasets import sources

# Every training reads the same.
read = functools.cache(sources.read)


def load(flags):
    """Batches of a run, for `examples.reproduce.train`.

    Args:
        flags: `dataset`, `data_dir`, `settings` (the recipe), `batch_size`,
            `seed` (of the order, not of the split), `validation_split` (the
            number of images that validate), `samples` (of either split the
            first ones alone, or `None`), `tests` (whether test data is read).

    Returns:
        A `keras_ff.datasets.Splits`, with `None` instead of test data that is
        not read.
    """
    train, test = read(flags.dataset, flags.data_dir)
    train, test = (
        tuple(array[: flags.samples] for array in split)
        for split in (train, test)
    )
    held_out = flags.validation_split
    left = len(train[1]) - held_out
    if left < flags.batch_size:
        raise SystemExit(
            f"{len(train[1])} images of {flags.dataset}, less {held_out} that "
            f"validate, give no batch of {flags.batch_size}. Give more "
            "--samples, or fewer --validation images."
        )
    batches = keras_ff.datasets.ArrayBatches
    return keras_ff.datasets.Splits(
        reproduce.training_batches(
            flags.settings,
            _on_device(array[:left] for array in train),
            flags.batch_size,
            flags.seed,
        ),
        batches(_on_device(array[left:] for array in train), flags.batch_size),
        batches(_on_device(test), flags.batch_size) if flags.tests else None,
    )


def _on_device(arrays):
    return tuple(map(keras.ops.convert_to_tensor, arrays))


def training_images(dataset, data_dir, samples):
    """How many images there are to train and to validate."""
    (_, labels), _ = read(dataset, data_dir)
    return len(labels[:samples])
