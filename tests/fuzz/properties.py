"""What must hold for every configuration; each is one function."""

import copy
import os
import tempfile

import keras
import numpy as np

from keras_ff import layers
from tests.fuzz.building import by_hand
from tests.fuzz.building import compile_model
from tests.fuzz.building import data
from tests.fuzz.building import has_frozen_draws
from tests.fuzz.building import has_random_step
from tests.fuzz.building import hides_nan
from tests.fuzz.building import make
from tests.fuzz.building import mixes_samples
from tests.fuzz.building import numpy
from tests.fuzz.building import objective_losses
from tests.fuzz.building import restore
from tests.fuzz.building import state
from tests.reference.backend import gradients


class Refused(Exception):
    """The library refused a configuration and said why."""


def check(configuration):
    """Builds a configuration and holds every property that concerns it.

    Returns:
        Dict of arrays that every backend must find alike, or an empty one.

    Raises:
        Refused: if the library refused it as it should.
        AssertionError: if a property does not hold.
    """
    try:
        model = make(configuration)
        start = state(model, optimizer=False)
        trains_or_refuses(model, configuration)
    except (TypeError, ValueError) as error:
        if "Received" not in str(error):
            raise
        raise Refused(str(error)) from error
    poison_changes_nothing(model, configuration)
    restore(model, start)
    predictions_agree(model, configuration)
    # The dearest property.
    if configuration["seed"] % 2 == 0:
        restore(model, start)
        copies_go_on(model, configuration)
    if (
        configuration["kind"] == "forward_forward"
        or configuration["policy"] not in ("float32", "float64")
        or has_random_step(configuration)
    ):
        return {}
    # Steps of this optimizer are the gradients.
    compile_model(model, configuration, keras.optimizers.SGD(1.0))
    restore(model, start)
    gradients_are_local(model, configuration)
    restore(model, start)
    nothing_weighs_nothing(model, configuration)
    if has_frozen_draws(configuration):
        return {}
    restore(model, start)
    return one_step(model, configuration)


def trains_or_refuses(model, configuration):
    """A step; what does not fit is told before anything is trained."""
    x, y, _ = data(configuration)
    before = [numpy(v) for v in model.weights]
    try:
        model.train_on_batch(x, y)
    except (TypeError, ValueError):
        _same(before, [numpy(v) for v in model.weights], "refused but changed")
        raise


def predictions_agree(model, configuration):
    """predict, goodness, evaluate and early exit, held against NumPy."""
    x, y, numbers = data(configuration, 2)
    size = configuration["batch"]
    if configuration["kind"] == "forward_forward":
        expected = _forward_forward_goodness(model, configuration, x)
    else:
        scores, penalties = [], 0.0
        for start in (0, size):
            batch, features = slice(start, start + size), []
            found = by_hand(model, configuration, x[batch], False, features)
            scores.append(np.stack([numpy(s) for s in found], axis=1))
            # Objectives compare the samples of a batch.
            losses = objective_losses(
                model,
                features,
                numbers[batch],
                np.ones(size, "float32"),
                training=False,
            )
            penalties += sum(float(loss) for loss in losses) / 2
        expected = np.concatenate(scores)
        penalties += float(sum(numpy(p) for p in model.losses))
    tolerance = _tolerance(configuration)
    goodness = model.goodness(x, batch_size=size)
    _close(goodness, expected, tolerance, "goodness")
    weights = model.contribution.weights
    combined = np.einsum("l,blk->bk", weights, goodness)
    prediction = model.predict(x, batch_size=size, verbose=0)
    if getattr(model, "inference", None) != "readout":
        _close(prediction, combined, tolerance, "predict")
    results = model.evaluate(x, y, batch_size=size, verbose=0, return_dict=True)
    hits = np.mean(prediction.argmax(axis=-1) == numbers)
    if _decided(prediction, tolerance):
        _close(results["accuracy"], hits, 1e-6, "accuracy of evaluate")
    if configuration["loss"] in (None, "smoothed") and (
        configuration["kind"] == "forward_only"
    ):
        smoothing = 0.1 if configuration["loss"] else 0.0
        losses = _crossentropy(goodness, numbers, smoothing).mean(axis=0)
        _close(
            results["loss"],
            losses.sum() + penalties,
            max(tolerance, 1e-5) * 10,
            "loss of evaluate",
        )
    if getattr(model, "inference", None) != "readout":
        _exits_agree(model, goodness, x, size, tolerance)


def _exits_agree(model, goodness, x, size, tolerance):
    order = model._graph.running_order
    weights = model.contribution.weights
    used = [i for i in order if weights[i] != 0] or list(order)
    sums = np.cumsum(weights[used, None] * goodness[:, used], axis=1)
    confidence = _softmax(sums).max(axis=-1)
    threshold = min(float(np.median(confidence)) + 1e-3, 1.0)
    if np.min(np.abs(confidence - threshold)) < 10 * tolerance:
        return
    leaves = confidence > threshold
    leaves[:, -1] = True
    exits = leaves.argmax(axis=1)
    found = model.predict_early_exit(x, threshold, batch_size=size)
    _close(
        found.predictions,
        sums[np.arange(len(x)), exits],
        tolerance,
        "early exit",
    )


def gradients_are_local(model, configuration):
    """A local step is plain autodiff of the summed losses, layer by layer."""
    x, y, numbers = data(configuration)
    variables = model.trainable_variables
    if not variables:
        return
    weights = _sample_weight(configuration)
    start = state(model, optimizer=False)

    def total(only=None):
        found, features = [], []
        scores = by_hand(model, configuration, x, True, features)
        others = objective_losses(model, features, numbers, weights, True)
        for layer, goodness, other in zip(model.local_layers, scores, others):
            loss = model.loss(
                keras.ops.convert_to_tensor(y), goodness, sample_weight=weights
            )
            other = keras.ops.cast(other, loss.dtype)
            found.append(loss + other + sum(layer.losses))
        return sum(found) if only is None else found[only]

    expected = gradients(total, variables)
    one = gradients(lambda: total(0), variables)
    restore(model, start)
    own = {id(v) for v in model.local_layers[0].trainable_variables}
    for variable, gradient in zip(variables, one):
        if id(variable) not in own:
            assert not np.any(gradient), (
                f"the loss of the first layer reaches {variable.path}"
            )
    expected = _clipped(model, expected, configuration["layer_clipnorm"])
    before = [numpy(v) for v in variables]
    model.train_on_batch(x, y, sample_weight=weights)
    for variable, old, gradient in zip(variables, before, expected):
        step = old - numpy(variable)
        scale = max(1.0, np.abs(gradient).max(initial=0.0))
        _close(step, gradient, 2e-5 * scale, f"gradient of {variable.path}")


def _clipped(model, found, limit):
    if limit is None:
        return found
    found = dict(zip((id(v) for v in model.trainable_variables), found))
    for layer in model.local_layers:
        own = [id(v) for v in layer.trainable_variables]
        norm = np.sqrt(sum(np.square(found[i]).sum() for i in own))
        for i in own:
            found[i] = found[i] * (limit / max(norm, limit))
    return [found[id(v)] for v in model.trainable_variables]


def nothing_weighs_nothing(model, configuration):
    """Samples of weight zero change no weight, whatever they hold."""
    if mixes_samples(configuration):
        return
    start, ends = state(model, optimizer=False), []
    for salt in (1, 2):
        restore(model, start)
        x, y, _ = data(configuration)
        other, other_y, _ = data(configuration, salt=salt)
        ignored = np.arange(len(x)) % 3 == 1
        x[ignored] = other[ignored]
        y = np.where(ignored.reshape((-1,) + (1,) * (y.ndim - 1)), other_y, y)
        weights = np.where(ignored, 0.0, _sample_weight(configuration))
        model.train_on_batch(x, y, sample_weight=weights.astype("float32"))
        ends.append([numpy(v) for v in model.weights])
    for variable, a, b in zip(model.weights, *ends):
        _close(a, b, 1e-5, f"weights of zero change {variable.path}")


def copies_go_on(model, configuration):
    """A saved model trains on bit for bit; other copies predict alike."""
    x, y, _ = data(configuration, 2)
    size = configuration["batch"]
    validation = x[:size], y[:size]
    fit = dict(batch_size=size, verbose=0, validation_data=validation)
    model.fit(x, y, **fit)
    if not _finite(model):
        return
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.keras")
        model.save(path)
        loaded = keras.saving.load_model(path)
    _same(state(model), state(loaded), "loading changed a number")
    ways = [_clone, copy.deepcopy]
    if configuration["kind"] == "forward_only":
        ways.append(lambda model: model.truncate(None))
    way = configuration["seed"] // 2 % len(ways)
    name = ("cloned", "deep-copied", "truncated")[way]
    # A copy that is not compiled is one program, which rounds otherwise.
    exact = configuration["policy"] in ("float32", "float64")
    _close(
        ways[way](model).predict(x, verbose=0),
        model.predict(x, verbose=0),
        1e-6 if exact else _tolerance(configuration),
        f"prediction of the {name} model",
    )
    model.fit(x[:size], y[:size], **fit)
    loaded.fit(x[:size], y[:size], **fit)
    _same(state(model), state(loaded), "the loaded model went another way")


def _clone(model):
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    return clone


def poison_changes_nothing(model, configuration):
    """A batch with NaN or a label out of range is never trained on."""
    x, y, _ = data(configuration)
    if not _finite(model):
        return
    if not hides_nan(configuration):
        _nan_changes_nothing(model, configuration, x, y)
    if configuration["labels"] == "rows":
        return
    before = state(model)
    wrong = y.copy()
    wrong[-1] = configuration["classes"]
    try:
        model.train_on_batch(x, wrong)
    except ValueError:
        _same(before, state(model), "a batch with a wrong label was trained on")
    else:
        raise AssertionError("a label out of range raised nothing")


def _nan_changes_nothing(model, configuration, x, y):
    before = state(model)
    bad = x.copy()
    bad[-1] = np.nan
    scaled = configuration["policy"] == "mixed_float16"
    try:
        model.train_on_batch(bad, y)
    except ValueError:
        _same(before, state(model), "a batch with NaN was trained on")
    else:
        # Loss scaling leaves such a batch out and lowers the scale.
        assert scaled, "a batch with NaN raised nothing"
        _finite_or_raise(model)


def one_step(model, configuration):
    """What every backend must find alike."""
    x, y, _ = data(configuration)
    goodness = model.goodness(x, batch_size=configuration["batch"])
    model.train_on_batch(x, y)
    found = {"goodness": goodness}
    for i, variable in enumerate(model.weights):
        # The seed of the shuffling is drawn anew by every model.
        if variable.dtype.startswith("float"):
            found[f"weight_{i}"] = numpy(variable)
    return found


def _sample_weight(configuration):
    rng = np.random.default_rng([configuration["seed"], 7])
    return rng.uniform(0.5, 2.0, configuration["batch"]).astype("float32")


def _forward_forward_goodness(model, configuration, x):
    """One pass for every label, written out."""
    classes = configuration["classes"]
    flat = x.reshape(len(x), -1)
    scores = []
    for label in range(classes):
        given = flat.copy()
        given[:, :classes] = 0.0
        given[:, label] = configuration["label_scale"]
        square = np.mean(np.square(given), axis=-1, keepdims=True)
        given = given / np.sqrt(square + 1e-5)
        tensor = keras.ops.convert_to_tensor(given[:, None])
        found = []
        for layer in model.local_layers:
            tensor, goodness = layer(tensor, training=False)
            found.append(numpy(goodness)[:, 0])
        scores.append(np.stack(found, axis=1))
    return np.stack(scores, axis=-1)


def _crossentropy(goodness, numbers, smoothing):
    goodness = np.asarray(goodness, "float64")
    log_p = np.log(np.maximum(_softmax(goodness), 1e-300))
    classes = goodness.shape[-1]
    rows = np.eye(classes)[numbers] * (1 - smoothing) + smoothing / classes
    return -(rows[:, None] * log_p).sum(axis=-1)


def _softmax(scores):
    scores = np.asarray(scores, "float64")
    shifted = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def _tolerance(configuration):
    return {
        "float32": 2e-5,
        "float64": 2e-5,
        "mixed_float16": 2e-2,
    }.get(configuration["policy"], 1e-1)


def _decided(prediction, tolerance):
    """Whether no sample is so near a tie that rounding decides."""
    top = np.sort(prediction, axis=-1)
    return np.min(top[:, -1] - top[:, -2]) > 10 * tolerance


def _finite(model):
    return all(np.all(np.isfinite(a)) for a in state(model))


def _finite_or_raise(model):
    assert _finite(model), "NaN in the weights"


def _close(actual, expected, tolerance, what):
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, (
        f"{what}: shape {actual.shape}, not {expected.shape}"
    )
    scale = max(1.0, float(np.abs(expected).max(initial=0.0)))
    difference = np.abs(actual.astype("float64") - expected).max(initial=0.0)
    assert difference <= tolerance * scale, f"{what}: off by {difference:.3g}"


def _same(before, after, what):
    assert len(before) == len(after), (
        f"{what}: {len(before)} numbers became {len(after)}"
    )
    for i, (a, b) in enumerate(zip(before, after)):
        assert a.shape == b.shape, f"{what}: {a.shape}, {b.shape}, number {i}"
        off = np.abs(a.astype("float64") - b).max(initial=0.0)
        assert np.array_equal(a, b, equal_nan=True), (
            f"{what}: number {i} of shape {a.shape} by {off}"
        )


def uses_layers(configuration):
    """The kinds of layers of a configuration, for the counts."""
    if configuration["kind"] == "forward_forward":
        return ["FFDense"]
    found = []
    for node in configuration["nodes"]:
        if hasattr(layers, node["layer"]):
            found.append(node["layer"])
            if "head" in node:
                found.append(node["head"]["layer"])
            found += [x["layer"] for x in node.get("objectives", ())]
    return sorted(set(found))
