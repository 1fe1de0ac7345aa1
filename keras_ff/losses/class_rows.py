from keras import ops


def class_rows(y_true, scores):
    """Labels as rows of class probabilities.

    Args:
        y_true: class numbers of shape `(batch,)` or `(batch, 1)`, or rows of
            shape `(batch, num_classes)`.
        scores: tensor of shape `(batch, num_classes)`.

    Returns:
        Tensor of the shape and dtype of `scores`. The row of a class number
        outside `[0, num_classes)` is NaN.

    Raises:
        ValueError: if the labels have another shape.
    """
    y_true = ops.convert_to_tensor(y_true)
    num_classes = scores.shape[-1]
    if len(y_true.shape) == 2 and y_true.shape[-1] in (1, None):
        y_true = ops.squeeze(y_true, axis=-1)
    if len(y_true.shape) == 1:
        valid = ops.logical_and(y_true >= 0, y_true < num_classes)
        # PyTorch's one_hot raises on numbers outside the classes.
        labels = ops.cast(ops.where(valid, y_true, 0), "int32")
        rows = ops.one_hot(labels, num_classes, dtype=scores.dtype)
        return ops.where(valid[:, None], rows, float("nan"))
    if y_true.shape[1:] != scores.shape[1:]:
        raise ValueError(
            "Labels must be class numbers of shape (batch,) or rows of "
            f"shape (batch, {num_classes}). Received: labels of shape "
            f"{tuple(y_true.shape)}"
        )
    return ops.cast(y_true, scores.dtype)
