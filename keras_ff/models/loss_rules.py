"""Which losses a model takes, what they learn, and which labels they take."""

import inspect

from keras import losses

from keras_ff.labels import is_rows
from keras_ff.losses.function_loss import FunctionLoss
from keras_ff.models import tasks
from keras_ff.models.of_keras import function_name
from keras_ff.models.of_keras import option

_NO_LOGITS = "takes probabilities, goodness is logits"
# Of Keras's own losses, those that goodness does not serve, and why.
_UNFIT: dict[str | None, str] = {
    "kl_divergence": _NO_LOGITS,
    "dice": _NO_LOGITS,
    "tversky": _NO_LOGITS,
    "categorical_generalized_cross_entropy": _NO_LOGITS,
    "poisson": "takes positive rates, goodness is logits",
    "circle": "compares the embeddings of a batch",
    "ctc": "scores sequences",
}
# What those of Keras's own losses learn that do not tell classes apart.
_TASKS: dict[str | None, str] = {
    "binary_crossentropy": "multi_label",
    "binary_focal_crossentropy": "multi_label",
    "hinge": "multi_label",
    "squared_hinge": "multi_label",
    "mean_squared_error": "regression",
    "mean_absolute_error": "regression",
    "mean_absolute_percentage_error": "regression",
    "mean_squared_logarithmic_error": "regression",
    "huber": "regression",
    "log_cosh": "regression",
    "cosine_similarity": "regression",
}


def get_loss(loss, default):
    """The loss of every local layer; raises if it does not fit goodness.

    Args:
        loss: a `keras.losses.Loss`, the name of one of Keras's, a function
            `(targets, goodness) -> losses`, or `None` for the default. Names
            and functions of Keras's stand for the loss on logits.
        default: class of the default loss.

    Returns:
        A `keras.losses.Loss`.

    Raises:
        TypeError: if it is none of these.
        ValueError: if it wants something other than logits, leaves out the
            samples of some class, or its `task` is unknown.
    """
    if loss is None:
        return default()
    if not isinstance(loss, losses.Loss):
        loss = _made(loss, default)
    name = type(loss).__name__
    if option(loss, "from_logits") is False:
        raise ValueError(
            "Goodness is used as logits: give the loss from_logits=True. "
            f"Received: {name}(from_logits=False)"
        )
    ignored = option(loss, "ignore_class")
    if ignored is not None:
        raise ValueError(
            f"ignore_class is not supported. Received: {name}(ignore_class="
            f"{ignored}). Give the samples without a label the sample weight "
            "0 and any class; with reduction='mean_with_sample_weight' the "
            "step is that of the others alone."
        )
    if loss.reduction in (None, "none"):
        raise ValueError(
            "The loss of a layer must be one number. Received: "
            f"{name}(reduction={loss.reduction!r}). Leave the reduction out "
            "for the mean over the batch."
        )
    reason = _UNFIT.get(function_name(loss))
    if reason:
        raise ValueError(
            f"{name} {reason}. Use keras_ff.losses.LocalCrossentropy() or "
            f"another loss on logits. Received: loss={loss!r}"
        )
    return loss


def _made(loss, default):
    """A loss of a name, a class or a function."""
    if isinstance(loss, (list, tuple, dict)):
        raise TypeError(
            "A model has one prediction and one loss, that of every local "
            f"layer. Received: loss={loss!r}. Several targets need a model "
            "each."
        )
    try:
        found = losses.get(loss)
    except ValueError:
        found = None
    if found is None:
        raise TypeError(
            "`loss` must be a keras.losses.Loss on logits, the name of one, a "
            "function (targets, goodness) -> losses, or None for "
            f"keras_ff.losses.{default.__name__}(). Received: loss={loss!r}. "
            "For instance "
            "keras.losses.SparseCategoricalCrossentropy(from_logits=True)"
        )
    kind = type(found)
    if not isinstance(found, losses.Loss):
        name = getattr(found, "__name__", "")
        # From "mean_squared_error" to `MeanSquaredError`.
        named = name.title().replace("_", "")
        kind = getattr(losses, named, None)
        if kind is None or getattr(losses, name, None) is not found:
            return FunctionLoss(found)
    if not kind.__module__.startswith("keras."):
        return found
    takes_logits = "from_logits" in inspect.signature(kind).parameters
    return kind(from_logits=True) if takes_logits else kind()


def task_of(loss):
    """The name of what a loss learns: see `keras_ff.models.tasks`.

    Of a loss that is not Keras's, its attribute `task` says so, or that of
    the function; without one it tells classes apart.
    """
    declared = getattr(loss, "task", None)
    task = declared or _TASKS.get(function_name(loss), "classification")
    if task not in tasks.names():
        raise ValueError(
            f"The `task` of a loss must be one of {tasks.names()}. Received: "
            f"{declared!r} of {loss!r}"
        )
    return task


def is_known(loss):
    """Whether a loss is of Keras or of this package, and so on logits."""
    return type(loss).__module__.startswith(("keras.", "keras_ff.")) and (
        not isinstance(loss, FunctionLoss)
    )


def check_form(loss, y):
    """Raises if a loss of Keras does not take labels of this form.

    Args:
        loss: a `keras.losses.Loss` of classes.
        y: labels, of which only the shape matters.
    """
    name = function_name(loss)
    if name is None:
        return
    sparse = name == "sparse_categorical_crossentropy"
    rows = is_rows(y)
    # The others broadcast numbers against goodness, and may find a loss.
    if sparse == rows:
        raise ValueError(
            f"{type(loss).__name__} takes "
            + ("class numbers" if sparse else "one-hot rows")
            + f". Received: labels of shape {tuple(y.shape)}. "
            + ("" if sparse else "keras.utils.to_categorical makes rows; ")
            + "keras_ff.losses.LocalCrossentropy takes both."
        )
