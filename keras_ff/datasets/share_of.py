def share_of(size, index, count):
    """The slice of `size` samples that is one of `count` shares.

    `size` may be a tensor.
    """
    start, end = (-(-size * i // count) for i in (index, index + 1))
    return slice(start, end)
