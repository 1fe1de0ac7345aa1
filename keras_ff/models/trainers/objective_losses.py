import keras
from keras import ops


def objective_losses(layer, outputs, labels, sample_weight, loss, training):
    """What the local objectives of a layer add to its loss.

    Args:
        layer: the local layer.
        outputs: its features, with their gradient, and its goodness.
        labels: rows of labels or other targets.
        sample_weight: one weight a sample, or `None`.
        loss: the `keras.losses.Loss` of the goodness.
        training: bool.

    Returns:
        List of scalars, weighted.
    """
    features, goodness = outputs
    weights = sample_weight
    if weights is None:
        weights = ops.ones_like(labels[:, 0])
    weights = ops.reshape(weights, (-1,))
    reduce = _Given("objective", loss.reduction, loss.dtype)
    return [
        objective.weight
        * reduce(
            labels[:, 0],
            objective(
                features,
                labels,
                weights,
                training=training,
                goodness=goodness,
            ),
            sample_weight=None if sample_weight is None else weights,
        )
        for objective in layer.objectives
    ]


class _Given(keras.losses.Loss):
    """Reduces losses of samples as Keras reduces its own."""

    def call(self, y_true, y_pred):
        return y_pred
