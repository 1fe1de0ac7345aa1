import keras
import numpy as np
from keras import ops

from keras_ff import keras_private


def raise_if_unsound(model, epoch_ended=True):
    """Raises if a batch since the last reset could not be trained on.

    Args:
        model: a `LocalLossModel`.
        epoch_ended: bool, whether its weights are looked at, too: no loss
            tells what the last step made of them.
    """
    try:
        number = model._unsound_batch()
        batch = "batch" if number is None else f"batch, number {number},"
        raise_if_data_wrong(
            model,
            f" That {batch} was not trained on, nor any after it.",
        )
        losses, penalties = model._statistics.broken_layers()
        looked_at = losses or penalties or epoch_ended
        weights = broken_weights(model) if looked_at else []
        if losses or penalties or weights:
            explanation = _explain(model, losses, penalties, weights)
            raise ValueError(" ".join(explanation))
    except ValueError:
        # The next batch is judged by itself.
        model._statistics.reset_state()
        raise


def raise_if_data_wrong(model, consequence=""):
    """Raises if there was, since the last reset, a batch to be refused.

    One without samples, with a label that is no class or a weight below zero.
    """
    statistics = model._statistics
    if any(model._values_of_replicas(statistics.empty_batches)):
        raise ValueError(
            "A batch must hold samples, for each of the replicas if there are "
            "several. Received: a batch of size 0. Filter such batches out, "
            f"or batch with drop_remainder=True.{consequence}"
        )
    number, example = _wrong(
        model, statistics.wrong_weights, statistics.wrong_weight
    )
    if number:
        raise ValueError(
            "`sample_weight` must be finite and not negative. Received: "
            f"{example:g} ({number:g} such weights).{consequence}"
        )
    number, example = _wrong(
        model, statistics.wrong_labels, statistics.wrong_label
    )
    if number:
        task = model._task
        raise ValueError(
            f"{task.rule} Received: {example:g} ({number:g} such "
            f"{task.noun.lower()}).{task.example}{consequence}"
        )


def _wrong(model, number, example):
    """What is wrong over all replicas: how many, and one of them."""
    number = sum(model._values_of_replicas(number))
    if not number:
        return 0, None
    # What is wrong is never zero.
    examples = model._values_of_replicas(example)
    return number, next(value for value in examples if value)


def broken_weights(model):
    """The paths of weights that are not finite."""
    return [
        variable.path
        for variable in model.weights
        if keras.backend.is_float_dtype(variable.dtype)
        and not _is_sound(variable)
    ]


def _is_sound(variable):
    value = np.asarray(ops.convert_to_numpy(variable))
    if variable.trainable:
        return bool(np.all(np.isfinite(value)))
    # Infinity may be a constant of a layer, such as a mask.
    return not np.any(np.isnan(value))


def _explain(model, losses, penalties, weights):
    # A loss that is NaN makes what depends on activations NaN, too.
    layers = losses or penalties
    local_layers = getattr(model, "local_layers", None)
    if layers:
        what = "loss" if losses else "penalty"
        kind = "layer" if local_layers is None else "local layer"
        yield (
            f"The {what} of {kind} '{layers[0]}' became NaN or infinite "
            f"(first of {len(layers)} such layers of "
            f"{len(model._statistics.names)}). Training stopped."
        )
    if weights:
        yield (
            f"Weight '{weights[0]}' is NaN or infinite (first of "
            f"{len(weights)} such weights). The losses and gradients of the "
            "step that made it so were finite: look at the optimizer and its "
            "learning rate, and take the weights from a checkpoint."
        )
        return
    yield _weights_of(model._unsound_batch())
    if losses:
        yield "Look for NaN in the data or lower the learning rate."
        return
    named = [x for x in local_layers or () if x.name == layers[0]]
    found = ", ".join(_penalties(*(named or [model])))
    yield (
        "Its loss without it is finite: look at its regularizers and "
        f"objectives, {found or 'or what it adds to its losses'}."
    )


def _weights_of(number):
    """Which weights those are, by the number of a batch in stages."""
    if number is None:
        return "The weights are those from before that batch."
    return (
        f"That was in batch {number} of the epoch (they count from 0). The "
        "weights of that layer and of those after it are those from before "
        "that batch; layers before it have learned from the batches that "
        "were under way."
    )


def _penalties(part):
    """All objectives of a layer and all regularizers in it, in words."""
    for objective in getattr(part, "objectives", ()):
        yield f"{type(objective).__name__} ('{objective.name}')"
    for layer in keras_private.all_layers(part):
        for name, value in vars(layer).items():
            for part in value if isinstance(value, (list, tuple)) else [value]:
                if isinstance(part, keras.regularizers.Regularizer):
                    kind = type(part).__name__
                    yield f"{kind} ({name} of '{layer.name}')"
