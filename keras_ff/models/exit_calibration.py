from typing import NamedTuple

import numpy as np
from keras import ops

from keras_ff.checks import check_fraction
from keras_ff.labels import check_sample_weight
from keras_ff.models.batches import batches
from keras_ff.models.early_exit import check_has_exits
from keras_ff.models.early_exit import exits
from keras_ff.models.training_data import are_arrays
from keras_ff.models.training_data import as_array
from keras_ff.models.training_data import check_one_target
from keras_ff.models.training_data import without_pandas


class ExitCalibration(NamedTuple):
    """What `ForwardOnlyModel.calibrate_early_exit` returns.

    Attributes:
        threshold: float, to be given to `predict_early_exit`.
        accuracy: float, the accuracy with this threshold.
        full_accuracy: float, the accuracy of `predict`.
        mean_layers_used: float, the mean number of local layers that were
            computed for a sample.
    """

    threshold: float
    accuracy: float
    full_accuracy: float
    mean_layers_used: float


def calibrate_early_exit(
    model, x, y, max_accuracy_loss, batch_size, steps, sample_weight
):
    """See `ForwardOnlyModel.calibrate_early_exit`."""
    check_fraction("max_accuracy_loss", max_accuracy_loss)
    check_has_exits(model)
    x, y = without_pandas((x, y))
    task = model._task
    if y is not None or are_arrays(x):
        check_one_target(y, x)
        task.check(y)
    used = exits(model)
    weights = model.contribution.weights[list(used), None]
    combined, right, sample_weights = [], [], []
    sample_weight = as_array(sample_weight)
    data = batches(x, y, sample_weight, batch_size, steps)
    for x_batch, y_batch, weight in data:
        task.check(y_batch)
        goodness = model._graph.goodness_model().predict_on_batch(x_batch)
        combined.append(np.cumsum(weights * goodness[:, list(used)], axis=1))
        y_batch = ops.convert_to_tensor(y_batch)
        found = task.right(y_batch, np.moveaxis(combined[-1], 1, 0))
        right.append(ops.convert_to_numpy(found).T)
        check_sample_weight(weight)
        if weight is None:
            weight = np.ones(len(right[-1]))
        sample_weights.append(np.reshape(ops.convert_to_numpy(weight), (-1,)))
    if not right:
        raise ValueError("`x` must hold samples. Received: none")
    sample_weights = np.concatenate(sample_weights).astype("float64")
    if not sample_weights.any():
        raise ValueError(
            "Sample weights must not all be zero. Received: "
            f"{len(sample_weights)} weights of zero"
        )
    combined = np.concatenate(combined)
    if not np.all(np.isfinite(combined)):
        raise ValueError(
            "The goodness of some samples is NaN or infinite. Look for NaN in "
            "`x` and in the weights of the model."
        )
    stages = model._graph.stages(used)
    return calibrate(
        task.confidence(combined),
        np.concatenate(right),
        sample_weights,
        np.cumsum([stage.num_local_layers for stage in stages]),
        max_accuracy_loss,
    )


def calibrate(confidence, right, weights, layers_used, max_accuracy_loss):
    """The smallest threshold that costs no more accuracy than allowed.

    The exits of the samples, and so the accuracy, change only at thresholds
    that equal some sample's confidence; all of them are compared.

    Args:
        confidence: array `(samples, exits)`, of the combined goodness up to
            every exit.
        right: array `(samples, exits)`, whether it is right, or how much.
        weights: array `(samples,)`, the samples' weights.
        layers_used: array `(exits,)`, the number of layers up to every exit.
        max_accuracy_loss: float.

    Returns:
        An `ExitCalibration`.
    """
    weights = weights[:, None] / weights.sum()
    right = weights * right
    # Who has not left at a threshold has been less confident all along. With
    # the threshold at this maximum, a sample goes on to the next exit.
    highest = np.maximum.accumulate(confidence, axis=1)[:, :-1]
    order = np.argsort(highest, axis=None)
    thresholds = np.append(0.0, highest.ravel()[order])
    more_right = np.diff(right, axis=1).ravel()[order]
    more_layers = (weights * np.diff(layers_used)).ravel()[order]
    accuracy = right[:, 0].sum() + np.append(0, np.cumsum(more_right))
    mean_layers = layers_used[0] + np.append(0, np.cumsum(more_layers))
    full_accuracy = right[:, -1].sum()
    allowed = full_accuracy - accuracy <= max_accuracy_loss + 1e-9
    # Of equal thresholds, the last has all the moves.
    allowed[:-1] &= thresholds[:-1] < thresholds[1:]
    best = np.argmax(allowed)
    # Up to the next confidence all thresholds are alike; half-way, rounding
    # does not matter.
    threshold = np.append(thresholds, 1.0)[best : best + 2].mean()
    return ExitCalibration(
        float(threshold),
        float(accuracy[best]),
        float(full_accuracy),
        float(mean_layers[best]),
    )
