import keras
import numpy as np
from keras import ops


def raise_if_unsound(model, epoch_ended=True):
    """Raises if a batch since the last reset could not be trained on.

    Args:
        model: a `ForwardOnlyModel`.
        epoch_ended: bool, whether its weights are looked at, too: no loss
            tells what the last step made of them.
    """
    try:
        raise_if_data_wrong(
            model,
            " That batch was not trained on, nor any after it.",
        )
        layers = model._statistics.broken_layers()
        weights = broken_weights(model) if layers or epoch_ended else []
        if layers or weights:
            raise ValueError(" ".join(_explain(model, layers, weights)))
    except ValueError:
        # The next batch is judged by itself.
        model._statistics.reset_state()
        raise


def raise_if_data_wrong(model, consequence=""):
    """Raises if there was, since the last reset, a batch to be refused.

    One without samples, or with a label that is no class.
    """
    statistics = model._statistics
    if any(model._values_of_replicas(statistics.empty_batches)):
        raise ValueError(
            "A batch must hold samples, for each of the replicas if there are "
            "several. Received: a batch of size 0. Filter such batches out, "
            f"or batch with drop_remainder=True.{consequence}"
        )
    counts = model._values_of_replicas(statistics.wrong_labels)
    examples = model._values_of_replicas(statistics.wrong_label)
    wrong = [(n, label) for n, label in zip(counts, examples) if n]
    if wrong:
        number = sum(n for n, _ in wrong)
        raise ValueError(
            f"Labels must be whole numbers in [0, {model.num_classes}), or "
            "rows of finite numbers that are not negative. Received: "
            f"{wrong[0][1]:g} ({number:g} such labels).{consequence}"
        )


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


def _explain(model, layers, weights):
    if layers:
        yield (
            f"The loss of local layer '{layers[0]}' became NaN or infinite "
            f"(first of {len(layers)} such layers of "
            f"{len(model.local_layers)}). Training stopped."
        )
    if weights:
        yield (
            f"Weight '{weights[0]}' is NaN or infinite (first of "
            f"{len(weights)} such weights). The losses and gradients of the "
            "step that made it so were finite: look at the optimizer and its "
            "learning rate, and take the weights from a checkpoint."
        )
    else:
        yield (
            "The weights are those from before that batch. Look for NaN in "
            "the data or lower the learning rate."
        )
