"""Reads what `fit` returned."""

import numpy as np


def logs_of(history):
    """The dictionary of metrics of a `History` or of a dictionary."""
    logs = getattr(history, "history", history)
    if not isinstance(logs, dict):
        raise TypeError(
            "A history must be what `fit` returned, or its `.history`. "
            f"Received: {history!r} of type {type(history).__name__}"
        )
    return logs


def metric_values(history, metric):
    """The values of a metric, one an epoch."""
    logs = logs_of(history)
    if metric not in logs:
        raise ValueError(
            f"The history has no metric {metric!r}. Received: a history of "
            f"{sorted(logs) or 'nothing'}"
            + ("" if logs else "; train the model first")
        )
    values = np.asarray(logs[metric], "float64")
    if values.ndim != 1 or not values.size:
        raise ValueError(
            f"{metric!r} must be one number an epoch, of at least one epoch. "
            f"Received: shape {values.shape}"
        )
    return values
