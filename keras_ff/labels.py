"""The rules about labels: class numbers, or rows of class probabilities."""

import keras
import numpy as np
from keras import ops

# How far the sum of a row of class probabilities may be from 1.
TOLERANCE = 1e-3
# A thousand probabilities in bfloat16 are that much off.
TOLERANCE_BFLOAT16 = 4e-3


def is_rows(y):
    """Whether labels are rows of class probabilities, not class numbers.

    Args:
        y: labels, of which only the shape matters.

    Returns:
        bool. Labels of shape `(batch,)` or `(batch, 1)` are class numbers.

    Raises:
        ValueError: if the shape of the labels is not known.
    """
    shape = shape_of(y)
    return len(shape) == 2 and shape[1] != 1


def class_rows(y, scores):
    """Labels as rows of class probabilities.

    Args:
        y: labels in either form.
        scores: tensor of shape `(batch, num_classes)`.

    Returns:
        Tensor of the shape and dtype of `scores`. The row of a class number
        outside `[0, num_classes)` is NaN.

    Raises:
        ValueError: if the labels have another shape.
    """
    y = ops.convert_to_tensor(y)
    num_classes = scores.shape[-1]
    check_label_shape(y, num_classes)
    if is_rows(y):
        return ops.cast(y, scores.dtype)
    y = class_numbers(y)
    valid = ops.logical_and(y >= 0, y < num_classes)
    # PyTorch's one_hot raises on numbers outside the classes.
    labels = ops.cast(ops.where(valid, y, 0.0), "int32")
    rows = ops.one_hot(labels, num_classes, dtype=scores.dtype)
    return ops.where(valid[:, None], rows, float("nan"))


def class_numbers(y):
    """Labels in either form as class numbers, float32 of shape `(batch,)`."""
    if is_rows(y):
        # PyTorch cannot compare truth values.
        y = ops.argmax(ops.cast(y, "float32"), axis=-1)
    return ops.cast(ops.reshape(y, (-1,)), "float32")


def in_form(y, rows, scores):
    """Labels as rows of class probabilities, or as class numbers.

    Args:
        y: labels in either form.
        rows: bool, which form is wanted.
        scores: tensor of shape `(batch, num_classes)`.
    """
    if is_rows(y) == rows:
        return y
    return class_rows(y, scores) if rows else class_numbers(y)


def count_wrong(y, num_classes):
    """How many labels are no class, and the largest of them.

    Args:
        y: labels in either form, a tensor.
        num_classes: int.

    Returns:
        Two float32 scalars. Of a wrong row the second is the wrong number in
        it, or its sum.
    """
    if is_rows(y):
        dtype = keras.backend.standardize_dtype(y.dtype)
        y = ops.cast(y, "float32")
        lowest, highest = ops.min(y, axis=-1), ops.max(y, axis=-1)
        # A comparison with NaN is false.
        right = ops.logical_and(lowest >= 0, highest < float("inf"))
        total = ops.sum(y, axis=-1)
        wrong_number = ops.where(lowest >= 0, highest, lowest)
        tolerance = TOLERANCE_BFLOAT16 if dtype == "bfloat16" else TOLERANCE
        y = ops.where(right, total, wrong_number)
        right = ops.logical_and(right, ops.abs(total - 1) <= tolerance)
    else:
        y = class_numbers(y)
        right = ops.logical_and(y >= 0, y < num_classes)
        right = ops.logical_and(right, y == ops.floor(y))
    number = ops.sum(1.0 - ops.cast(right, "float32"))
    return number, largest(ops.where(right, -float("inf"), y))


def check_labels(y, num_classes, distributions=False):
    """Raises if an array of labels does not fit a model.

    Args:
        y: labels as an array, tensor or list.
        num_classes: int.
        distributions: bool, whether rows must sum to 1.

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
    check_label_shape(y, num_classes)
    if is_rows(y):
        if not np.all(np.isfinite(y)) or (y.size and y.min() < 0):
            raise ValueError(
                "One-hot labels must be finite and not negative. Received: "
                f"values from {np.min(y)} to {np.max(y)}"
            )
        if distributions:
            _check_sums(y)
        return
    wrong = ~((y >= 0) & (y < num_classes) & (y == np.floor(y)))
    if wrong.any():
        raise ValueError(
            f"Labels must be whole numbers in [0, {num_classes}). Received: "
            f"{y[wrong][0]} (at position {int(np.argmax(wrong.ravel()))}; "
            f"{int(wrong.sum())} such labels)"
        )


def _check_sums(y):
    totals = y.sum(axis=1, dtype="float64")
    wrong = np.abs(totals - 1) > TOLERANCE
    if wrong.any():
        position = int(np.argmax(wrong))
        raise ValueError(
            "Rows of labels must sum to 1: the share of every class in a "
            f"sample. Received: a row that sums to {totals[position]:g} (at "
            f"position {position}; {int(wrong.sum())} such rows). Divide rows "
            "by their sums; how much a sample counts says `sample_weight`; "
            "for samples of several classes, or of none, use a loss such as "
            "keras.losses.BinaryCrossentropy(from_logits=True), for "
            "regression one such as keras.losses.MeanSquaredError(); a loss "
            "of your own says what it learns by its attribute `task`."
        )


def check_label_shape(y, num_classes):
    """Raises if labels have the shape of neither form."""
    shape = shape_of(y)
    if len(shape) == 1 or (len(shape) == 2 and shape[1] in (1, num_classes)):
        return
    raise ValueError(
        "Labels must be class numbers of shape (batch,) or one-hot rows of "
        f"shape (batch, {num_classes}). Received: labels of shape {shape}"
    )


def check_weight_shape(sample_weight):
    """Raises if there is not one weight a sample."""
    if sample_weight is None:
        return
    shape = tuple(sample_weight.shape)
    if len(shape) != 1 and shape[1:] != (1,):
        raise ValueError(
            "`sample_weight` must be one number a sample, of shape (batch,). "
            f"Received: sample weights of shape {shape}"
        )


def count_wrong_weights(sample_weight):
    """How many weights are negative or not finite, and one of them.

    Args:
        sample_weight: one weight a sample, a tensor.

    Returns:
        Two float32 scalars.
    """
    weights = ops.cast(sample_weight, "float32")
    # A comparison with NaN is false.
    right = ops.logical_and(weights >= 0, weights < float("inf"))
    number = ops.sum(1.0 - ops.cast(right, "float32"))
    return number, largest(ops.where(right, -float("inf"), weights))


def check_sample_weight(sample_weight):
    """Raises if an array of weights is not one sound number a sample."""
    if sample_weight is None:
        return
    check_weight_shape(sample_weight)
    weights = sample_weight
    if ops.is_tensor(weights):
        weights = ops.convert_to_numpy(weights)
    if weights.dtype.kind not in "iufb":
        raise TypeError(
            "`sample_weight` must be numbers. Received: weights of dtype "
            f"{weights.dtype}"
        )
    if not np.all(np.isfinite(weights)) or (weights.size and weights.min() < 0):
        raise ValueError(
            "`sample_weight` must be finite and not negative. Received: "
            f"weights from {np.min(weights)} to {np.max(weights)}"
        )


def shape_of(y):
    """The shape of labels; raises if it is not known what they are."""
    try:
        shape = tuple(y.shape)
    except ValueError:
        # TensorFlow's tensors may lack a rank.
        shape = None
    if shape is None or shape[1:] == (None,):
        raise ValueError(
            "Whether labels are class numbers or one-hot rows is known by "
            "their shape. Received: labels of unknown shape "
            f"{'' if shape is None else shape}. Give the dataset's labels "
            "one, for instance with tf.ensure_shape(y, (None,)), and use one "
            "form of labels throughout."
        )
    return shape


def largest(x):
    """The largest number of a tensor, which may be empty."""
    return ops.max(x, initial=-float("inf"))
