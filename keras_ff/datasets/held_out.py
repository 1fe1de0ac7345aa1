import numbers

import numpy as np


def hold_out(num_images, validation_split, seed):
    """Divides training images into those to train on and those held out.

    Args:
        num_images: int.
        validation_split: fraction (float) or number (int) to hold out.
        seed: int, decides which.

    Returns:
        Two integer arrays: numbers of the images to train on, in no order,
        and of those held out, sorted.
    """
    number = num_held_out(num_images, validation_split)
    order = np.random.default_rng(seed).permutation(num_images)
    return order[number:], np.sort(order[:number])


def num_held_out(num_images, validation_split):
    number = validation_split
    if not isinstance(number, numbers.Integral):
        # Some, if any were asked for.
        number = max(round(number * num_images), int(number > 0))
    if number >= num_images:
        raise ValueError(
            "No image is left to train on: `validation_split` holds out "
            f"{number} of {num_images}."
        )
    return number
