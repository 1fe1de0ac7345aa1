"""Which losses a model takes, and which labels losses and metrics take."""

import inspect

from keras import losses
from keras import metrics
from keras import tree

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

# Of Keras's metrics that compare number by number, or row by row.
_METRICS_OF_ROWS = {
    "auc",
    "binaryaccuracy",
    "binarycrossentropy",
    "categoricalaccuracy",
    "categoricalcrossentropy",
    "categoricalhinge",
    "cosinesimilarity",
    "fbetascore",
    "kldivergence",
    "meanabsoluteerror",
    "meansquarederror",
    "precision",
    "recall",
    "topkcategoricalaccuracy",
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


def metrics_take_rows(given):
    """Which labels metrics of Keras take: a metric itself checks nothing.

    Args:
        given: metrics, as `compile` takes them.

    Returns:
        bool. `None` if they take either, or are not Keras's.

    Raises:
        ValueError: if some take rows and others class numbers.
    """
    found = {}
    for metric in tree.flatten(given):
        for name in _names(metric):
            if name.startswith("sparse") or name in _METRICS_OF_ROWS:
                found.setdefault(not name.startswith("sparse"), metric)
    if len(found) == 2:
        raise ValueError(
            "All metrics see the same labels: class numbers, or one-hot rows. "
            f"Received: {found[False]!r}, which takes numbers, and "
            f"{found[True]!r}, which takes rows. Use one kind; 'accuracy' "
            "takes both."
        )
    return next(iter(found), None)


def _names(metric):
    """The names of a metric of Keras, with all that it derives from."""
    if isinstance(metric, str):
        try:
            metric = metrics.get(metric)
        except ValueError:
            # "accuracy" and the like, which Keras looks up later.
            return
    if isinstance(metric, metrics.Metric):
        types = type(metric).__mro__
    else:
        types = [metric]
    for kind in types:
        if getattr(kind, "__module__", "").startswith("keras."):
            yield getattr(kind, "__name__", "").replace("_", "").lower()


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
