import keras
from keras import tree


def check_scores(head, activation, layer):
    """Builds a goodness head; raises if it gives no row of scores a sample.

    Args:
        head: the head.
        activation: symbolic activation that it sees.
        layer: the layer that it belongs to.
    """
    scores = head(activation)
    if not type(head).call.__module__.startswith(("keras.", "keras_ff.")):
        # What one's own announces may be wrong. (To call them all would take
        # a tenth of the time of making a model.)
        scores = _called(head, activation)
    expected = getattr(head, "num_classes", None)
    received = getattr(scores, "shape", None)
    if received is not None and len(received) == 2:
        if expected is None or received[1] in (None, expected):
            return
        advice = ""
    else:
        advice = (
            " A map is pooled before it is scored, for instance by "
            "keras.ops.mean over its axes; keras_ff.layers.GoodnessProjection "
            "does both. A score for every position (segmentation) is not "
            "supported."
        )
    what = "no tensor" if received is None else f"scores of shape {received}"
    shapes = [tuple(x.shape) for x in tree.flatten(activation)]
    raise ValueError(
        f"The goodness head of layer '{layer.name}' must give a row of "
        "scores a sample, of shape (batch, "
        f"{'columns' if expected is None else f'num_classes={expected}'}). "
        f"Received: {what} from {type(head).__name__} '{head.name}', for an "
        f"activation of shape {', '.join(map(str, shapes))}.{advice}"
    )


def _called(head, activation):
    """What a head gives for a symbol, whatever it announces."""
    # Outside of its `__call__` nothing is cast, variables neither.
    activation = tree.map_structure(
        lambda x: keras.KerasTensor(x.shape, dtype=head.variable_dtype),
        activation,
    )
    return keras.Operation.compute_output_spec(head, activation)
