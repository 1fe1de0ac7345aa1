"""Which labels metrics of Keras take: a metric itself checks nothing."""

import inspect

from keras import metrics
from keras import tree

from keras_ff.models.of_keras import option

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


def metrics_take_rows(given):
    """Which labels metrics of Keras take.

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


def check_take_logits(given):
    """Raises if a metric of Keras would take goodness for probabilities."""
    for metric in tree.flatten(given):
        found = _get(metric)
        if metric in ("crossentropy", "ce"):
            probabilities = True
        elif isinstance(found, metrics.Metric) or inspect.isfunction(found):
            probabilities = option(found, "from_logits") is False
        else:
            probabilities = False
        if probabilities:
            raise ValueError(
                "Metrics see goodness, which are logits: give the metric "
                "from_logits=True, for instance keras.metrics."
                "SparseCategoricalCrossentropy(from_logits=True). Received: "
                f"{metric!r}"
            )


def check_thresholds(given):
    """Raises if a metric of Keras has a threshold that is a probability."""
    for metric in tree.flatten(given):
        found = _get(metric)
        found = found() if inspect.isclass(found) else found
        # One of a user's own may have thresholds of goodness.
        if not type(found).__module__.startswith("keras.") or option(
            found, "from_logits"
        ):
            continue
        thresholds = tree.flatten(
            [getattr(found, "thresholds", None), getattr(found, "threshold", 0)]
        )
        if any(t is not None and 0 < t < 1 for t in thresholds):
            raise ValueError(
                "Metrics see goodness, which are logits, and a logit of 0 is a "
                f"probability of 0.5. Received: {metric!r}, whose threshold is "
                "a probability. Give a threshold of 0.0, or a metric that "
                "takes logits, as AUC(from_logits=True); of others take the "
                "sigmoid of `predict`."
            )


def yes_or_no(given):
    """Metrics as they are given, but accuracies by their names take logits."""

    def taking_logits(metric):
        names = ("accuracy", "acc", "binary_accuracy")
        if isinstance(metric, str) and metric in names:
            return metrics.BinaryAccuracy(name=metric, threshold=0.0)
        return metric

    return tree.map_structure(taking_logits, given)


def _get(metric):
    if not isinstance(metric, str):
        return metric
    try:
        return metrics.get(metric)
    except ValueError:
        # "accuracy" and the like, which Keras looks up later.
        return None


def _names(metric):
    """The names of a metric of Keras, with all that it derives from."""
    metric = _get(metric)
    if isinstance(metric, metrics.Metric):
        types = type(metric).__mro__
    else:
        types = [metric]
    for kind in types:
        if getattr(kind, "__module__", "").startswith("keras."):
            yield getattr(kind, "__name__", "").replace("_", "").lower()
