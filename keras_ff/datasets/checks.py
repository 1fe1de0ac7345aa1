import numbers


def check_integer(name, value, minimum):
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(
            f"`{name}` must be an integer. Received: {name}={value!r} "
            f"of type {type(value).__name__}"
        )
    if value < minimum:
        raise ValueError(
            f"`{name}` must be at least {minimum}. Received: {name}={value}"
        )


def check_validation_split(split):
    if isinstance(split, bool) or not isinstance(split, numbers.Real):
        raise TypeError(
            "`validation_split` must be a fraction (float) or a number of "
            f"images (int). Received: validation_split={split!r}"
        )
    fraction = not isinstance(split, numbers.Integral)
    if split < 0 or (fraction and not split < 1):
        raise ValueError(
            "`validation_split` must be a fraction in [0, 1) or a "
            "non-negative number of images. "
            f"Received: validation_split={split}"
        )


def standardize_image_size(size):
    """`(height, width)`, or `None`."""
    if size is None:
        return None
    size = (size, size) if isinstance(size, numbers.Integral) else size
    if not isinstance(size, (tuple, list)) or len(size) != 2:
        raise ValueError(
            "`image_size` must be an integer or `(height, width)`. "
            f"Received: image_size={size!r}"
        )
    for value in size:
        check_integer("image_size", value, minimum=1)
    return tuple(size)
