"""Which losses a model takes, and which labels a loss takes."""

import inspect

from keras import losses

from keras_ff.labels import is_rows
from keras_ff.losses.label_loss import LabelLoss

_NO_LOGITS = "takes probabilities, goodness is logits"
# Of Keras's own losses, those that goodness does not serve, and why.
_UNFIT = {
    "kl_divergence": _NO_LOGITS,
    "dice": _NO_LOGITS,
    "tversky": _NO_LOGITS,
    "categorical_generalized_cross_entropy": _NO_LOGITS,
    "poisson": "takes positive rates, goodness is logits",
    "circle": "compares the embeddings of a batch",
    "ctc": "scores sequences",
}


def check_loss(loss, default):
    """The loss of every local layer; raises if it does not fit goodness.

    Args:
        loss: a `keras.losses.Loss`, or `None` for the default.
        default: class of the default loss.

    Raises:
        TypeError: if it is no `keras.losses.Loss`.
        ValueError: if it wants something other than logits, or leaves out
            the samples of some class.
    """
    if loss is None:
        return default()
    if not isinstance(loss, losses.Loss):
        raise TypeError(
            "`loss` must be a keras.losses.Loss on logits, or None for "
            f"keras_ff.losses.{default.__name__}(). Received: "
            f"loss={loss!r}. For instance "
            "keras.losses.SparseCategoricalCrossentropy(from_logits=True)"
        )
    name = type(loss).__name__
    if _option(loss, "from_logits") is False:
        raise ValueError(
            "Goodness is used as logits: give the loss from_logits=True. "
            f"Received: {name}(from_logits=False)"
        )
    ignored = _option(loss, "ignore_class")
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
    reason = _UNFIT.get(_function_name(loss))
    if reason:
        raise ValueError(
            f"{name} {reason}. Use keras_ff.losses.LocalCrossentropy() or "
            f"another loss on logits. Received: loss={loss!r}"
        )
    return loss


def takes_distributions(loss):
    """Whether a loss takes rows of labels for class probabilities.

    Others may take rows of several classes.
    """
    return isinstance(loss, LabelLoss) or _function_name(loss) in (
        "categorical_crossentropy",
        "categorical_focal_crossentropy",
        "categorical_hinge",
    )


def check_form(loss, y):
    """Raises if a loss of Keras does not take labels of this form.

    Args:
        loss: a `keras.losses.Loss`.
        y: labels, of which only the shape matters.
    """
    name = _function_name(loss)
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


def _function_name(loss):
    """The name of the function of Keras that a loss wraps, or `None`."""
    function = getattr(loss, "fn", None)
    if getattr(function, "__module__", "").startswith("keras."):
        return function.__name__
    return None


def _option(loss, name):
    """An argument of a loss, wherever it can be seen."""
    for place in (loss.get_config(), vars(loss)):
        if place.get(name) is not None:
            return place[name]
    function = getattr(loss, "fn", None)
    if function is None:
        return None
    argument = inspect.signature(function).parameters.get(name)
    return None if argument is None else argument.default
