from keras import ops
from keras import tree


def are_arrays(data):
    leaves = tree.flatten(data)
    return all(hasattr(a, "__array__") and hasattr(a, "shape") for a in leaves)


def to_array(array):
    """Tensors stay on their device, all else (pandas) becomes NumPy."""
    return array if ops.is_tensor(array) else array.__array__()


def split(arrays, fraction):
    """Splits off the last samples for validation, as Keras does."""
    size = len(tree.flatten(arrays)[0])
    start = int(size * (1 - fraction))
    if not 0 < start < size:
        raise ValueError(
            f"{size} samples are too few for validation_split={fraction}"
        )
    return (
        tree.map_structure(lambda a: a[:start], arrays),
        tree.map_structure(lambda a: a[start:], arrays),
    )
