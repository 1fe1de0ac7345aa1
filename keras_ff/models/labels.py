import numpy as np
from keras import ops


def check_labels(y, num_classes):
    """Raises if an array of labels does not fit a model.

    Args:
        y: labels as an array or tensor.
        num_classes: int.

    Raises:
        TypeError: if the labels are not numbers.
        ValueError: if there are none, or their shape or a value does not
            fit.
    """
    if y is None:
        raise ValueError("Labels are needed. Received: y=None")
    y = ops.convert_to_numpy(y) if ops.is_tensor(y) else np.asarray(y)
    if y.dtype.kind not in "iufb":
        raise TypeError(
            "Labels must be class numbers or one-hot rows. Received: labels "
            f"of dtype {y.dtype}"
        )
    check_label_shape(y.shape, num_classes)
    if y.ndim == 2 and y.shape[1] != 1:
        if not np.all(np.isfinite(y)) or (y.size and y.min() < 0):
            raise ValueError(
                "One-hot labels must be finite and not negative. Received: "
                f"values from {np.min(y)} to {np.max(y)}"
            )
        return
    wrong = ~((y >= 0) & (y < num_classes) & (y == np.floor(y)))
    if wrong.any():
        raise ValueError(
            f"Labels must be whole numbers in [0, {num_classes}). Received: "
            f"{y[wrong][0]} (at position {int(np.argmax(wrong.ravel()))}; "
            f"{int(wrong.sum())} such labels)"
        )


def check_label_shape(shape, num_classes):
    """Raises if labels of this shape fit neither form of labels."""
    shape = tuple(shape)
    if len(shape) == 1 or (
        len(shape) == 2 and shape[1] in (1, num_classes, None)
    ):
        return
    raise ValueError(
        "Labels must be class numbers of shape (batch,) or one-hot rows of "
        f"shape (batch, {num_classes}). Received: labels of shape {shape}"
    )
