from typing import NamedTuple

import numpy as np
from keras import ops

from keras_ff.checks import check_fraction
from keras_ff.labels import check_labels
from keras_ff.labels import check_sample_weight
from keras_ff.labels import class_numbers
from keras_ff.models.batches import batches
from keras_ff.models.early_exit import confidence
from keras_ff.models.early_exit import exits
from keras_ff.models.training_data import are_arrays
from keras_ff.models.training_data import as_array


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
    if y is not None or are_arrays(x):
        check_labels(y, model.num_classes)
    used = exits(model)
    weights = model.contribution.weights[list(used), None]
    combined, labels, sample_weights = [], [], []
    sample_weight = as_array(sample_weight)
    data = batches(x, y, sample_weight, batch_size, steps)
    for x_batch, y_batch, weight in data:
        check_labels(y_batch, model.num_classes)
        goodness = model._graph.goodness_model().predict_on_batch(x_batch)
        combined.append(np.cumsum(weights * goodness[:, list(used)], axis=1))
        labels.append(ops.convert_to_numpy(class_numbers(y_batch)))
        check_sample_weight(weight)
        if weight is None:
            weight = np.ones(len(labels[-1]))
        sample_weights.append(np.reshape(ops.convert_to_numpy(weight), (-1,)))
    if not labels:
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
        combined,
        np.concatenate(labels),
        sample_weights,
        np.cumsum([stage.num_local_layers for stage in stages]),
        max_accuracy_loss,
    )


def calibrate(combined, labels, weights, layers_used, max_accuracy_loss):
    """The smallest threshold that costs no more accuracy than allowed.

    The exits of the samples, and so the accuracy, change only at thresholds
    that equal some sample's confidence; all of them are compared.

    Args:
        combined: array `(samples, exits, num_classes)`, the combined goodness
            up to every exit.
        labels: array `(samples,)`, class numbers.
        weights: array `(samples,)`, the samples' weights.
        layers_used: array `(exits,)`, the number of layers up to every exit.
        max_accuracy_loss: float.

    Returns:
        An `ExitCalibration`.
    """
    weights = weights[:, None] / weights.sum()
    right = weights * (np.argmax(combined, axis=-1) == labels[:, None])
    # Who has not left at a threshold has been less confident all along. With
    # the threshold at this maximum, a sample goes on to the next exit.
    highest = np.maximum.accumulate(confidence(combined), axis=1)[:, :-1]
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
