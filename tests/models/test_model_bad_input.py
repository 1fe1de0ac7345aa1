"""Bad input is refused before, or at the latest when, it would do harm."""

import sys

import keras
import numpy as np
import pytest
from by_hand import BACKEND
from tiny_models import CLASSES
from tiny_models import FEATURES
from tiny_models import assert_close
from tiny_models import assert_same
from tiny_models import caw_dense
from tiny_models import data
from tiny_models import dense_block
from tiny_models import dense_model
from tiny_models import numpy
from tiny_models import optimizer_state
from tiny_models import restore
from tiny_models import rich_model
from tiny_models import state

from keras_ff import layers
from keras_ff.labels import TOLERANCE
from keras_ff.labels import count_wrong
from keras_ff.losses import LocalCrossentropy
from keras_ff.models import DeepSupervisionModel
from keras_ff.models import ForwardOnlyModel

pytestmark = pytest.mark.eager
once = pytest.mark.only_on("torch")

BATCH = 4


def compiled(model=None, **kwargs):
    model = model or dense_model()
    model.compile(optimizer=keras.optimizers.SGD(0.1), **kwargs)
    return model


def with_label(y, position, value):
    y = np.array(y, type(value) if isinstance(value, float) else None)
    y[position] = value
    return y


# === Labels in arrays ===

X, Y = data(12)
ONE_HOT = np.eye(CLASSES, dtype="float32")[Y]
BAD_LABELS = {
    "too_large": (
        with_label(Y, 7, CLASSES),
        ValueError,
        r"whole numbers in \[0, 3\).*Received: 3 \(at position 7; 1 such",
    ),
    "negative": (
        with_label(Y, 2, -1),
        ValueError,
        r"whole numbers in \[0, 3\).*Received: -1 \(at position 2; 1 such",
    ),
    "not_whole": (
        with_label(Y, 5, 1.5),
        ValueError,
        r"whole numbers in \[0, 3\).*Received: 1.5 \(at position 5",
    ),
    "nan": (
        with_label(Y, 5, np.nan),
        ValueError,
        r"whole numbers in \[0, 3\).*Received: nan",
    ),
    "strings": (
        np.array(["cat"] * 12),
        TypeError,
        "Labels must be class numbers or one-hot rows. Received: labels of "
        "dtype <U3",
    ),
    "objects": (np.array([None] * 12), TypeError, "of dtype object"),
    "one_hot_of_another_width": (
        np.eye(CLASSES + 1)[Y],
        ValueError,
        r"one-hot rows of shape \(batch, 3\). Received: labels of shape "
        r"\(12, 4\)",
    ),
    "rank_3": (
        ONE_HOT[:, None],
        ValueError,
        r"Received: labels of shape \(12, 1, 3\)",
    ),
    "scalar": (np.array(1), ValueError, r"labels of shape \(\)"),
    "negative_one_hot": (
        -ONE_HOT,
        ValueError,
        "finite and not negative. Received: values from -1.0 to",
    ),
    "one_hot_with_nan": (
        ONE_HOT * np.nan,
        ValueError,
        "finite and not negative",
    ),
    "counts": (
        ONE_HOT * np.where(np.arange(12) > 4, 2, 1)[:, None],
        ValueError,
        r"must sum to 1.*Received: a row that sums to 2 \(at position 5; 7 su",
    ),
    "no_class": (
        with_label(ONE_HOT.astype("uint8"), 3, 0),
        ValueError,
        r"sums to 0 \(at position 3; 1 such rows.*BinaryCrossentropy",
    ),
    "missing": (None, ValueError, "Labels are needed. Received: y=None"),
}
ENTRANCES = {
    "fit": lambda model, y: model.fit(X, y, verbose=0),
    "validation_data": lambda model, y: model.fit(
        X, Y, validation_data=(X, y), verbose=0
    ),
    "evaluate": lambda model, y: model.evaluate(X, y, verbose=0),
    "train_on_batch": lambda model, y: model.train_on_batch(X, y),
    "test_on_batch": lambda model, y: model.test_on_batch(X, y),
}


@once
@pytest.mark.parametrize("labels", BAD_LABELS)
@pytest.mark.parametrize(
    "entrance",
    ENTRANCES,
)
def test_bad_labels_in_arrays(labels, entrance):
    y, error, message = BAD_LABELS[labels]
    model = compiled()
    before = state(model)
    with pytest.raises(error, match=message):
        ENTRANCES[entrance](model, y)
    assert_same(state(model), before)
    assert model.epoch == 0


@once
def test_labels_in_lists_of_all_kinds_are_checked():
    model = compiled()
    with pytest.raises(ValueError, match="Received: 9"):
        model.fit(X, [0] * 11 + [9], verbose=0)
    with pytest.raises(ValueError, match="Received: 9"):
        model.fit(
            X,
            keras.ops.convert_to_tensor(with_label(Y, 0, 9)),
            verbose=0,
        )


@once
@pytest.mark.parametrize(
    "validation", [(X,), (X, Y, None, None), [X]], ids=["one", "four", "list"]
)
def test_validation_data_of_another_length(validation):
    with pytest.raises(ValueError, match="`validation_data` must be .x, y., "):
        compiled().fit(X, Y, validation_data=validation, verbose=0)


@once
@pytest.mark.parametrize(
    "x, error, message",
    [
        (X[:0], ValueError, r"`x` must hold samples.*\(0, 5\)"),
        (X.astype(object), TypeError, "Python objects"),
        (X.astype(complex), TypeError, "real numbers.*complex128"),
        (X[:5], ValueError, r"same number of samples. Received: \[5, 12\]"),
        (X.tolist(), TypeError, "`x` must be an array.*Received: x of type li"),
    ],
    ids=["empty", "objects", "complex", "fewer", "lists"],
)
@pytest.mark.parametrize("entrance", ["fit", "evaluate", "train_on_batch"])
def test_inputs_that_are_none(entrance, x, error, message):
    with pytest.raises(error, match=message):
        getattr(compiled(), entrance)(x, Y if len(x) else Y[:0])


def test_no_samples_to_predict():
    for method in (compiled().predict, compiled().goodness):
        with pytest.raises(ValueError, match="`x` must hold samples"):
            method(X[:0])


@once
@pytest.mark.parametrize(
    "weight, error, message",
    [
        ([np.nan] * 12, ValueError, "finite and not negative"),
        ([-1.0] * 12, ValueError, "weights from -1.0 to -1.0"),
        (["a"] * 12, TypeError, "must be numbers"),
        ([1.0] * 11, ValueError, r"Received: \[12, 12, 11\]"),
        (2.0, ValueError, r"of shape \(\)"),
    ],
)
def test_sample_weights_that_are_none(weight, error, message):
    for method in (compiled().fit, compiled().evaluate):
        with pytest.raises(error, match=message):
            method(X, Y, sample_weight=weight)


@once
@pytest.mark.parametrize(
    "argument, value, error",
    [
        ("batch_size", 0, ValueError),
        ("batch_size", 2.5, TypeError),
        ("validation_batch_size", -1, ValueError),
        ("steps_per_epoch", 0, ValueError),
        ("validation_split", 1.5, ValueError),
        ("validation_split", -0.1, ValueError),
    ],
)
@pytest.mark.parametrize("shuffle", [True, False])
def test_sizes_that_are_none(argument, value, error, shuffle):
    with pytest.raises(error, match=f"`{argument}` must be.*{value}"):
        compiled().fit(X, Y, shuffle=shuffle, **{argument: value})


@pytest.mark.parametrize(
    "dtype",
    [
        "bool",
        *(
            pytest.param(dtype, marks=once)
            for dtype in ("float16", "uint8", "int16", "int64")
        ),
    ],
)
def test_labels_of_any_dtype_train_alike(dtype):
    """Only two classes, so that truth values can name them."""
    steps = []
    for rows in (False, True):
        for kind in ("int32", dtype):
            y = (Y > 0).astype("int32")
            y = (np.eye(CLASSES)[y] if rows else y).astype(kind)
            keras.utils.set_random_seed(0)
            model = compiled()
            steps.append(model.train_on_batch(X, y))
            steps.append(model.test_on_batch(X, y))
    for step in steps[::2], steps[1::2]:
        for found in step:
            np.testing.assert_allclose(found, step[0], rtol=1e-6)


@once
def test_too_few_samples_for_a_validation_split():
    with pytest.raises(ValueError, match="1 samples are too few"):
        compiled().fit(X[:1], Y[:1], validation_split=0.5, verbose=0)
    with pytest.raises(ValueError, match="too few for validation_split=1.0"):
        compiled().fit(X, Y, validation_split=1.0, verbose=0)


def test_labels_beside_a_stream():
    stream = ((X, Y) for _ in range(2))
    with pytest.raises(TypeError, match="leave `y` out.*x of type generator"):
        compiled().fit(stream, Y, verbose=0)


# === Labels in streams ===


def batches(bad=None, count=6):
    """Good batches, and one whose labels or inputs were replaced."""
    for i in range(count):
        x, y = data(BATCH, seed=100 + i)
        if bad is not None and i == bad[0]:
            x, y = bad[1](x, y)
        yield x, y


class Stream(keras.utils.PyDataset):
    def __init__(self, *args):
        super().__init__()
        self.batches = list(batches(*args))

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]


def tf_data(*args):
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_generator(
        lambda: batches(*args),
        output_signature=(
            tf.TensorSpec((None, FEATURES), "float32"),
            tf.TensorSpec((None,), "int64"),
        ),
    )


def data_loader(*args):
    torch = pytest.importorskip("torch")
    tensors = [
        tuple(torch.as_tensor(a) for a in batch) for batch in batches(*args)
    ]
    return torch.utils.data.DataLoader(tensors, batch_size=None)


SOURCES = [batches, Stream, tf_data]
if BACKEND == "torch":
    SOURCES.append(data_loader)


def bad_label(value, position=1):
    return lambda x, y: (x, with_label(y, position, value))


class FloatStream(Stream):
    def __getitem__(self, index):
        x, y = super().__getitem__(index)
        return x, y.astype("float32")


def assert_stopped(model, stream, good, error, match, **kwargs):
    """Training stops with an error and the weights from after `good`."""
    compiled(model, **kwargs)
    start = state(model)
    model.fit(batches(count=good), verbose=0)
    expected = state(model)
    restore(model, start)
    with pytest.raises(error, match=match):
        model.fit(stream, epochs=3, verbose=0, shuffle=False)
    weights = {id(v) for v in model.weights if not v.path.endswith("epoch")}
    for variable, actual, value in zip(model.variables, state(model), expected):
        # Random generators go on; weights do not.
        if id(variable) in weights:
            np.testing.assert_array_equal(actual, value)
    assert model.epoch == 0
    return model


@pytest.mark.eager(False)
@pytest.mark.parametrize(
    "source, value", list(zip(SOURCES, [CLASSES, -1, CLASSES, -1]))
)
def test_streamed_bad_label_stops_training_untouched(source, value):
    # Not in the last batch: those after it must not be trained on either.
    model = assert_stopped(
        dense_model(),
        source((2, bad_label(value))),
        2,
        ValueError,
        rf"whole numbers in \[0, 3\).*Received: {value} \(1 such labels\)",
    )
    # And the model is as usable as before.
    model.fit(batches(), verbose=0)
    assert model.epoch == 1


def test_streamed_bad_label_with_a_loss_of_keras():
    # It gives numbers, not NaN, for some bad labels on some backends.
    assert_stopped(
        dense_model(),
        Stream((2, bad_label(CLASSES))),
        2,
        ValueError if BACKEND == "jax" else Exception,
        "out of bounds|Labels must be whole|valid range",
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )


@pytest.mark.eager(False)
def test_streamed_bad_label_with_batch_normalization():
    assert_stopped(
        rich_model(),
        Stream((2, bad_label(CLASSES))),
        2,
        ValueError,
        r"whole numbers in \[0, 3\).*Received: 3",
    )


def test_streamed_label_that_is_not_whole():
    assert_stopped(
        dense_model(),
        FloatStream((2, bad_label(1.5))),
        2,
        ValueError,
        r"whole numbers in \[0, 3\).*Received: 1.5",
    )


@pytest.mark.parametrize(
    "value, count", [pytest.param(-0.5, 2, marks=once), (np.nan, 1)]
)
def test_streamed_weights_below_zero(value, count):
    def weighed(value):
        for i, (x, y) in enumerate(batches()):
            weights = np.ones(len(y), "float32")
            weights[:count] = value if i == 1 else 1.0
            yield x, y, weights

    model = compiled()
    start = state(model)
    model.fit(batches(count=1), verbose=0)
    expected, weights = state(model), {id(v) for v in model.trainable_weights}
    restore(model, start)
    message = f"not negative. Received: {value} .{count} such weights"
    with pytest.raises(ValueError, match=message + ".*was not trained on"):
        model.fit(weighed(value), verbose=0)
    for variable, actual, right in zip(model.variables, state(model), expected):
        if id(variable) in weights:
            np.testing.assert_array_equal(actual, right)
    with pytest.raises(ValueError, match=message):
        model.evaluate(weighed(value), verbose=0)
    model.evaluate(weighed(0.0), verbose=0)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda y: np.eye(CLASSES + 2)[y], r"of shape \(.*, 5\)"),
        (lambda y: y[:, None, None], r"of shape \(.*, 1, 1\)"),
    ],
)
def test_streamed_labels_of_another_shape(change, message):
    model = compiled()
    before = state(model)
    with pytest.raises(ValueError, match=message):
        model.fit(((x, change(y)) for x, y in batches()), verbose=0)
    assert_same(state(model), before)


@pytest.mark.parametrize(
    "value",
    [
        -1,
        pytest.param(np.inf, marks=once),
        np.nan,
    ],
)
def test_streamed_row_that_is_no_distribution(value):
    def rows(x, y):
        y = np.eye(CLASSES, dtype="float32")[y]
        y[1, 2] = value
        return x, y

    model = compiled()
    before = state(model)
    with pytest.raises(ValueError, match=f"rows of finite.*{value} .1 such"):
        model.fit(Stream((0, rows), 1), verbose=0)
    assert_same(state(model), before)


@pytest.mark.parametrize("scale, total", [(0.5, "0.5"), (1.002, "1.002")])
def test_streamed_row_that_does_not_sum_to_1(scale, total):
    def rows(x, y):
        y = np.eye(CLASSES, dtype="float32")[y]
        y[1] *= scale
        return x, y

    model = compiled()
    before = state(model)
    message = f"and sum to 1. Received: {total} .1 such labels.. Of a row, "
    for method in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match=message):
            method(Stream((0, rows), 1), verbose=0)
        assert_same(state(model), before)


def soft(dtype):
    """Mixtures of two images' labels, smoothed, in a dtype."""
    mixed = 0.7 * ONE_HOT + 0.3 * ONE_HOT[::-1]
    rows = 0.9 * mixed + 0.1 / CLASSES
    return keras.ops.cast(keras.ops.convert_to_tensor(rows), dtype)


@pytest.mark.parametrize(
    "rows",
    [
        soft("float32"),
        pytest.param(soft("float16"), marks=once),
        pytest.param(ONE_HOT * 0.9995, marks=once),
        pytest.param(ONE_HOT > 0, marks=once),
    ],
    ids=["mixed", "float16", "nearly", "bool"],
)
def test_rows_that_sum_to_1(rows):
    model = compiled()
    model.fit(X, rows, validation_data=(X, rows), verbose=0)
    model.train_on_batch(X, rows)
    rows = keras.ops.convert_to_numpy(rows)
    model.fit(((X, rows) for _ in range(2)), verbose=0)


def test_streamed_rows_in_bfloat16():
    """A thousand classes, smoothed: the rounding is as large as it gets."""
    rows = 0.9 * np.eye(1000)[:2] + 0.1 / 1000
    rows = keras.ops.cast(keras.ops.convert_to_tensor(rows), "bfloat16")
    assert abs(numpy(rows).astype("float64")[0].sum() - 1) > TOLERANCE
    assert float(count_wrong(rows, 1000)[0]) == 0
    assert float(count_wrong(1.01 * rows, 1000)[0]) == 2


@pytest.mark.eager(False)
def test_rows_of_several_classes():
    """What a loss takes that scores every class by itself."""
    rows = np.minimum(ONE_HOT + ONE_HOT[::-1], 1)
    rows[3] = 0
    loss = keras_losses.BinaryCrossentropy(from_logits=True)
    model = compiled(loss=loss)
    expected = model.goodness(X)
    expected = np.logaddexp(0, expected) - rows[:, None] * expected
    logs = model.evaluate(X, rows, verbose=0, return_dict=True)
    penalty = sum(float(p) for x in model.local_layers for p in x.losses)
    np.testing.assert_allclose(
        logs["loss"], expected.mean(axis=(0, 2)).sum() + penalty, rtol=1e-5
    )
    model.fit(X, rows, verbose=0)


@pytest.mark.eager(False)
@pytest.mark.only_on("tensorflow")
@pytest.mark.parametrize("shape", [None, (None, None)])
def test_streamed_labels_of_unknown_shape(shape):
    tf = pytest.importorskip("tensorflow")
    stream = tf.data.Dataset.from_generator(
        batches,
        output_signature=(
            tf.TensorSpec((None, FEATURES), "float32"),
            tf.TensorSpec(shape, "int64"),
        ),
    )
    with pytest.raises(ValueError, match="unknown shape.*tf.ensure_shape"):
        compiled().fit(stream, verbose=0)


def test_streamed_batch_without_samples():
    stream = Stream((2, lambda x, y: (x[:0], y[:0])))
    model = compiled()
    with pytest.raises(ValueError, match="batch must hold samples"):
        model.fit(stream, verbose=0)
    with pytest.raises(ValueError, match="batch must hold samples"):
        model.evaluate(stream, verbose=0)
    for value in [*model.get_weights(), *optimizer_state(model)]:
        assert np.isfinite(value).all()


def test_stream_without_labels():
    model = compiled()
    with pytest.raises(ValueError, match="Labels are needed"):
        model.fit(((x,) for x, _ in batches()), verbose=0)


def test_streamed_bad_label_in_evaluation_and_validation():
    model = compiled()
    stream = Stream((2, bad_label(CLASSES)))
    with pytest.raises(
        ValueError, match=r"in \[0, 3\).*Received: 3 \(1 such"
    ) as error:
        model.evaluate(stream, verbose=0)
    assert "train" not in str(error.value)
    before = model.epoch
    with pytest.raises(ValueError, match=r"in \[0, 3\).*Received: 3 \(1 such"):
        model.fit(Stream(), validation_data=stream, verbose=0)
    assert model.epoch == before
    model.evaluate(Stream(), verbose=0)


# === Losses that are not numbers ===


def nan_input(x, y):
    x = x.copy()
    x[1] = np.nan
    return x, y


@pytest.mark.eager(False)
@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("dense", marks=once),
        pytest.param("assigned", marks=once),
        "batch_normalization",
    ],
)
def test_nan_input_stops_training_untouched(kind):
    start = {
        "dense": dense_model,
        "assigned": lambda: ForwardOnlyModel(
            [keras.Input((FEATURES,)), caw_dense("local_0")]
        ),
        "batch_normalization": rich_model,
    }[kind]()
    model = assert_stopped(
        start,
        Stream((2, nan_input)),
        2,
        ValueError,
        "local layer 'local_0' became NaN",
    )
    for value in state(model):
        assert np.isfinite(value).all()


def test_nan_in_a_later_layer_names_that_layer():
    model = dense_model(3)
    projection = model.get_layer("local_1").head.projection
    projection.kernel.assign(np.full(projection.kernel.shape, np.nan))
    before = state(model)
    with pytest.raises(ValueError, match=r"'local_1' .*first of 1 such layers"):
        compiled(model).fit(X, Y, verbose=0)
    assert_same(state(model), before)


class Broken(keras.regularizers.Regularizer):
    """Finite on zeros only: the logarithm of a negative number."""

    def __call__(self, x, **kwargs):
        return keras.ops.sum(keras.ops.log(1 - 1e3 * keras.ops.abs(x)))


@pytest.mark.parametrize(
    "make, where",
    [
        (
            lambda: dense_block("local_1", kernel_regularizer=Broken()),
            "Broken .kernel_regularizer of 'dense",
        ),
        (
            lambda: dense_block("local_1", activity_regularizer=Broken()),
            "Broken .activity_regularizer of 'dense",
        ),
        (
            lambda: caw_dense("local_1", assignment_regularizers=[Broken()]),
            "Broken .assignment_regularizers of 'head'",
        ),
    ],
)
def test_a_penalty_that_is_not_finite_is_not_blamed_on_the_data(make, where):
    model = ForwardOnlyModel([keras.Input((FEATURES,)), make()])
    before = [numpy(v) for v in model.weights]
    compiled(model)
    message = f"penalty of local layer 'local_1' became NaN.*{where}"
    with pytest.raises(ValueError, match=message) as error:
        model.fit(X, Y, verbose=0)
    assert "NaN in the data" not in str(error.value)
    assert_same([numpy(v) for v in model.weights], before)
    with pytest.raises(ValueError, match="loss of local layer 'local_1'"):
        model.fit(*nan_input(X, Y), verbose=0)


def test_nan_on_train_on_batch():
    model = compiled()
    before = state(model)
    x, y = nan_input(*data(BATCH))
    with pytest.raises(ValueError, match="'local_0' became NaN"):
        model.train_on_batch(x, y)
    assert_same(state(model), before)
    # The next batch is judged by itself.
    model.train_on_batch(*data(BATCH))
    assert np.abs(state(model)[0] - before[0]).max() > 0


@pytest.mark.eager(False)
def test_nan_after_many_batches_stops_before_the_epochs_end():
    model = compiled()
    seen = []
    callback = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(batch)
    )
    with pytest.raises(ValueError, match="became NaN"):
        model.fit(
            Stream((70, nan_input), 400),
            verbose=0,
            shuffle=False,
            callbacks=[callback],
        )
    assert 70 < len(seen) < 200


class NaNAtLast(keras.optimizers.schedules.LearningRateSchedule):
    def __call__(self, step):
        return keras.ops.where(step >= 3, float("nan"), 0.1)


@pytest.mark.eager(False)
def test_weights_that_the_last_step_of_an_epoch_makes_nan():
    model = dense_model()
    model.compile(optimizer=keras.optimizers.SGD(NaNAtLast()))
    weight = model.trainable_variables[0].path
    for _ in range(2):
        with pytest.raises(ValueError, match=f"Weight '{weight}' is") as error:
            model.fit(batches(count=4), verbose=0)
        assert "those from before" not in str(error.value)
    assert model.epoch == 0
    with pytest.raises(ValueError, match="goodness .* NaN or infinite"):
        model.calibrate_early_exit(X, Y)


@pytest.mark.eager(False)
def test_gradients_that_overflow_under_a_loss_scale_change_no_statistics():
    keras.config.set_dtype_policy("mixed_float16")
    model = rich_model()
    scale = 2.0**120
    model.compile(
        optimizer=keras.optimizers.LossScaleOptimizer(
            keras.optimizers.SGD(0.1), initial_scale=scale
        )
    )
    before = {v.path: v for v in model.weights}
    before = {path: np.array(v) for path, v in before.items()}
    model.train_on_batch(X, Y)
    for variable in model.weights:
        np.testing.assert_array_equal(variable, before[variable.path])
    assert float(model.optimizer.dynamic_scale) == scale / 2
    assert int(model.optimizer.iterations) == 0
    model.optimizer.dynamic_scale.assign(2.0)
    model.train_on_batch(X, Y)
    moving = [v for v in model.weights if "moving_mean" in v.path]
    for variable in [*moving, model.trainable_variables[0]]:
        assert np.any(np.array(variable) != before[variable.path])


@pytest.mark.only_on("torch")
def test_a_batch_on_an_accelerator_is_judged_without_waiting(monkeypatch):
    """There all is computed, and selected afterwards."""
    trainer = sys.modules["keras_ff.models.trainers.torch"]
    monkeypatch.setattr(trainer, "_branches_freely", lambda condition: False)
    assert_stopped(
        rich_model(),
        Stream((2, bad_label(CLASSES))),
        2,
        ValueError,
        r"whole numbers in \[0, 3\).*Received: 3",
    )


# === Models ===


def plain(model_layers, **options):
    return ForwardOnlyModel(
        [keras.Input((FEATURES,)), *model_layers], **options
    )


@once
def test_layer_with_weights_that_is_not_local():
    with pytest.raises(ValueError) as error:
        plain([dense_block("a"), keras.layers.Dense(4, name="culprit")])
    message = str(error.value)
    for part in (
        "Layer 'culprit' (Dense) has trainable weights but is not a local",
        "keras_ff.layers.LocalBlock([keras.layers.Dense(...)], goodness=",
        "layer.trainable = False",
    ):
        assert part in message


@once
def test_layers_after_the_last_local_one():
    # They would have no effect; Keras's users often end with such layers.
    with pytest.raises(ValueError, match="last of `layers` .*Softmax"):
        plain([dense_block("a"), keras.layers.Softmax()])


@once
def test_layer_with_weights_before_a_local_one():
    with pytest.raises(ValueError, match="'culprit' .Dense. has trainable"):
        plain([keras.layers.Dense(4, name="culprit"), dense_block("a")])
    inputs = keras.Input((FEATURES,))
    x = keras.layers.Dense(4, name="culprit")(inputs)
    with pytest.raises(ValueError, match="'culprit' .Dense. has trainable"):
        ForwardOnlyModel(inputs, [dense_block("a")(x)[1]])


@once
def test_hint_of_that_error_works():
    frozen = keras.layers.Dense(4)
    frozen.trainable = False
    wrapped = layers.LocalBlock(
        [keras.layers.Dense(4)], goodness=layers.GoodnessProjection(CLASSES)
    )
    compiled(plain([frozen, wrapped])).fit(X, Y, verbose=0)


def test_part_that_is_thawed_in_a_frozen_layer():
    model = plain([dense_block("a"), dense_block("b")])
    layer = model.get_layer("b")
    layer.trainable = False
    layer.head.trainable = True
    match = "'b' is frozen, but not all .*b/goodness_projection.*kernel"
    with pytest.raises(ValueError, match=match):
        compiled(model)
    layer.head.trainable = False
    compiled(model).fit(X, Y, verbose=0)


def test_layer_that_becomes_trainable_later():
    frozen = keras.layers.Dense(4, name="thawed")
    frozen.trainable = False
    model = plain([frozen, dense_block("a")])
    compiled(model)
    frozen.trainable = True
    with pytest.raises(ValueError, match="'thawed' .* is not a local layer"):
        compiled(model)


@once
def test_normalization_with_trainable_weights():
    block = dense_block("a", normalization=keras.layers.LayerNormalization())
    with pytest.raises(ValueError, match="'a' has trainable weights"):
        plain([block])


@once
def test_differing_numbers_of_classes():
    other = layers.LocalBlock(
        keras.layers.Dense(4), layers.GoodnessProjection(CLASSES + 1)
    )
    with pytest.raises(ValueError, match="same `num_classes`.*3.*4"):
        plain([dense_block("a"), other])


@once
@pytest.mark.parametrize("between", [[], [keras.layers.Flatten()]])
def test_no_local_layer(between):
    with pytest.raises(ValueError, match="at least one local layer"):
        plain(between)


def graph():
    inputs = keras.Input((FEATURES,))
    features, first = dense_block("a")(inputs)
    last, second = dense_block("b")(features)
    return inputs, features, first, last, second


@once
def test_goodness_that_is_not_an_output():
    inputs, _, _, _, second = graph()
    with pytest.raises(
        ValueError, match="goodness of local layer 'a' is not among"
    ):
        ForwardOnlyModel(inputs, [second])


@once
def test_outputs_that_are_not_goodness():
    inputs, features, first, last, second = graph()
    scaled = keras.layers.Rescaling(2.0)(second)
    message = "must be the goodness .the second output. of a local layer"
    for outputs in ([first, scaled], [first, inputs]):
        with pytest.raises(ValueError, match=message):
            ForwardOnlyModel(inputs, outputs)


@once
def test_features_given_for_goodness():
    # Of the same width, so that only the check can tell them apart.
    inputs = keras.Input((FEATURES,))
    features, _ = dense_block("a", units=CLASSES)(inputs)
    with pytest.raises(ValueError, match="must be the goodness"):
        ForwardOnlyModel(inputs, [features])


@once
def test_goodness_given_twice():
    inputs, _, first, _, second = graph()
    with pytest.raises(ValueError, match="given twice"):
        ForwardOnlyModel(inputs, [first, second, first])


@once
def test_local_layer_used_twice():
    shared = dense_block("shared", units=FEATURES)
    with pytest.raises(ValueError, match="'shared' is used more than once"):
        plain([shared, shared])


@once
def test_local_layers_inside_another_layer():
    inputs, _, first, _, second = graph()
    nested = keras.Model(inputs, [first, second], name="nested")
    outer = keras.Input((FEATURES,))
    x = keras.layers.Add()(nested(outer))
    _, goodness = dense_block("c")(x)
    with pytest.raises(ValueError, match=r"'nested' contains local layers"):
        ForwardOnlyModel(outer, [goodness])


@once
def test_goodness_of_a_nested_model_as_output():
    inputs, _, first, _, second = graph()
    nested = keras.Model(inputs, [first, second], name="nested")
    outer = keras.Input((FEATURES,))
    with pytest.raises(ValueError, match="must be the goodness"):
        ForwardOnlyModel(outer, nested(outer))


@once
def test_lists_that_are_not_layers():
    block = dense_block("a")
    with pytest.raises(ValueError, match="first element .* keras.Input"):
        ForwardOnlyModel([block])
    with pytest.raises(TypeError, match="must hold Keras layers.*'relu'.*str"):
        plain([block, "relu"])
    with pytest.raises(TypeError, match="list that starts with keras.Input"):
        ForwardOnlyModel([])
    with pytest.raises(TypeError, match="list that starts with keras.Input"):
        ForwardOnlyModel(block)


@once
@pytest.mark.parametrize("contribution", ["uniform", 1.0, LocalCrossentropy])
def test_contribution_of_the_wrong_type(contribution):
    with pytest.raises(TypeError, match="must be a keras_ff.contributions"):
        dense_model(contribution=contribution)


@once
@pytest.mark.parametrize("layer_clipnorm", [0, -1.0, np.nan])
def test_layer_clipnorm_that_is_not_positive(layer_clipnorm):
    with pytest.raises(ValueError, match=f"layer_clipnorm={layer_clipnorm}"):
        dense_model(layer_clipnorm=layer_clipnorm)


@once
def test_options_of_the_wrong_type():
    for name, value in (("layer_clipnorm", "1"), ("layer_metrics", 1)):
        with pytest.raises(TypeError, match=f"`{name}`.*Received: {name}="):
            dense_model(**{name: value})


@once
def test_unknown_option():
    with pytest.raises((TypeError, ValueError), match="layer_clip_norm"):
        dense_model(layer_clip_norm=1.0)


# === Compilation ===


class Hidden(keras.losses.CategoricalCrossentropy):
    """Does not write into its config what it wants."""

    def get_config(self):
        return {}


keras_losses = keras.losses


@once
@pytest.mark.parametrize(
    "loss, message",
    [
        (keras_losses.SparseCategoricalCrossentropy(), "from_logits=True"),
        (keras_losses.BinaryCrossentropy(), "from_logits=True"),
        (Hidden(), "from_logits=True"),
        (keras_losses.KLDivergence(), "KLDivergence takes probabilities"),
        (keras_losses.Dice(), "Dice takes probabilities"),
        (keras_losses.Tversky(), "Tversky takes probabilities"),
        (keras_losses.Poisson(), "Poisson takes positive rates"),
        (keras_losses.Circle(), "Circle compares"),
        (keras_losses.CTC(), "CTC scores sequences"),
        (
            keras_losses.SparseCategoricalCrossentropy(
                from_logits=True, ignore_class=-1
            ),
            "ignore_class is not supported.*sample weight 0",
        ),
        (LocalCrossentropy(reduction="none"), "reduction='none'"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_losses_that_do_not_fit_goodness(loss, message):
    for model in (dense_model(), deep_supervision()):
        with pytest.raises(ValueError, match=message):
            model.compile(loss=loss)


def deep_supervision():
    inputs = keras.Input((FEATURES,))
    return DeepSupervisionModel(inputs, [keras.layers.Dense(CLASSES)(inputs)])


def test_unlabeled_samples_as_the_error_advises():
    """A step as if they were not there."""
    weights = []
    for x, y, weight in (
        (X, Y, (np.arange(12) % 3 > 0).astype("float32")),
        (X[np.arange(12) % 3 > 0], Y[np.arange(12) % 3 > 0], None),
    ):
        keras.utils.set_random_seed(0)
        loss = keras_losses.SparseCategoricalCrossentropy(
            from_logits=True, reduction="mean_with_sample_weight"
        )
        model = compiled(loss=loss)
        model.train_on_batch(x, y, weight)
        weights.append(state(model))
    moved = [v for v in weights[1] if v.dtype == "float32"]
    assert_close([v for v in weights[0] if v.dtype == "float32"], moved)


@once
def test_loss_weights():
    with pytest.raises(ValueError, match=r"no loss weights.*\[1, 2\]"):
        compiled(loss_weights=[1, 2])


@once
def test_fit_before_compile():
    with pytest.raises(ValueError, match="compile"):
        dense_model().fit(X, Y, verbose=0)


@once
def test_input_of_another_shape():
    model = compiled()
    before = state(model)
    with pytest.raises(ValueError, match="shape"):
        model.fit(X[:, :-1], Y, verbose=0)
    assert_close(state(model), before)


@once
@pytest.mark.parametrize(
    "loss, labels, message",
    [
        (loss(from_logits=True), labels, f"{loss.__name__} takes one-hot rows")
        for loss, labels in (
            (keras_losses.CategoricalCrossentropy, Y),
            (keras_losses.CategoricalFocalCrossentropy, Y[:, None]),
        )
    ]
    + [
        (
            keras_losses.CategoricalHinge(),
            Y,
            "CategoricalHinge takes one-hot rows.*Received.*to_categ",
        ),
        (
            keras_losses.BinaryCrossentropy(from_logits=True),
            Y,
            r"Labels of a loss of yes or no .*\(batch, 3\)\. .*shape \(3,\)",
        ),
        (
            keras_losses.MeanSquaredError(),
            Y[:, None],
            r"Targets .* regression .*\(batch, 3\)\. .*shape \(3, 1\)",
        ),
        (
            keras_losses.SparseCategoricalCrossentropy(from_logits=True),
            ONE_HOT,
            "takes class numbers. Received: labels of shape",
        ),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_labels_that_a_loss_of_keras_does_not_take(loss, labels, message):
    # As many samples as classes: NumPy's broadcasting would let them pass.
    model = compiled(loss=loss)
    with pytest.raises(ValueError, match=message):
        model.train_on_batch(X[:CLASSES], labels[:CLASSES])


def test_sample_weights_that_are_not_one_a_sample():
    weights = np.ones((CLASSES, CLASSES), "float32")
    with pytest.raises(ValueError, match=r"one number a sample.*\(3, 3\)"):
        compiled().train_on_batch(X[:CLASSES], Y[:CLASSES], weights)


@once
def test_ff_dense_belongs_into_another_model():
    with pytest.raises(ValueError, match="FFDense layers.*ForwardForwardModel"):
        ForwardOnlyModel([keras.Input((6,)), layers.FFDense(5)])


class Steep(keras.regularizers.Regularizer):
    """A finite penalty without a finite gradient, whatever the loss scale."""

    def __call__(self, x):
        return keras.ops.sqrt(keras.ops.sum(0.0 * x))


def test_a_collapsed_loss_scale_is_told_once():
    model = ForwardOnlyModel(
        [
            keras.Input((FEATURES,)),
            dense_block("local_0", kernel_regularizer=Steep()),
        ]
    )
    model.compile(
        keras.optimizers.LossScaleOptimizer(
            keras.optimizers.SGD(), initial_scale=4.0
        )
    )
    with pytest.warns(UserWarning, match="loss scale .* fell to 0.5") as told:
        model.fit(X, Y, batch_size=len(X) // 3, epochs=2, verbose=0)
    assert len([w for w in told if "loss scale" in str(w.message)]) == 1
