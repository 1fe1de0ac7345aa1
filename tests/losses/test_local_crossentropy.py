import keras
import numpy as np
import pytest
from reference import numpy_reference as ref
from reference.arrays import normal
from reference.arrays import numpy
from reference.backend import gradients

from keras_ff import losses

LABELS = np.array([2, 0, 1, 1])
GOODNESS = normal((4, 3), 1, scale=3.0)
WEIGHTS = np.array([1.0, 0.0, 2.5, 0.5], "float32")
smoothings = pytest.mark.parametrize("smoothing", (0.0, 0.1, 0.4))


@smoothings
@pytest.mark.parametrize(
    "labels",
    [
        LABELS,
        LABELS[:, None],
        LABELS.astype("uint8"),
        LABELS.astype("float32"),
        np.eye(3, dtype="float32")[LABELS],
        np.eye(3, dtype="int32")[LABELS],
    ],
    ids=("(B,)", "(B, 1)", "uint8", "float", "one-hot", "integer one-hot"),
)
def test_every_form_of_labels(labels, smoothing):
    loss = losses.LocalCrossentropy(smoothing)(labels, GOODNESS)
    rows = ref.targets(LABELS, 3, smoothing)
    expected = ref.crossentropies(rows, GOODNESS).mean()
    assert numpy(loss) == pytest.approx(expected, rel=1e-6)


@smoothings
def test_soft_rows(smoothing):
    rows = np.random.default_rng(2).dirichlet(np.ones(3), 4)
    loss = losses.LocalCrossentropy(smoothing)(rows.astype("float32"), GOODNESS)
    expected = ref.crossentropies(ref.smooth(rows, smoothing), GOODNESS).mean()
    assert numpy(loss) == pytest.approx(expected, rel=1e-6)


def test_lists_as_every_keras_loss_takes_them():
    loss = losses.LocalCrossentropy()([1, 0], [[1.0, 3.0], [2.0, -1.0]])
    expected = (np.log(1 + np.exp(-2.0)) + np.log(1 + np.exp(-3.0))) / 2
    assert numpy(loss) == pytest.approx(expected, rel=1e-6)


def test_floor_of_label_smoothing():
    """The least loss, 0.500 for 10 classes, is that of the target itself."""
    target = ref.targets([4], 10, 0.1)
    loss = losses.LocalCrossentropy(0.1)([4], np.log(target).astype("float32"))
    assert numpy(loss) == pytest.approx(0.500, abs=5e-4)
    worse = losses.LocalCrossentropy(0.1)(np.array([4]), 40 * np.eye(10)[[4]])
    assert numpy(worse) > 3


@pytest.mark.parametrize(
    ("reduction", "reduce"),
    [
        ("sum_over_batch_size", lambda v: (v * WEIGHTS).mean()),
        ("sum", lambda v: (v * WEIGHTS).sum()),
        ("none", lambda v: v * WEIGHTS),
        (
            "mean_with_sample_weight",
            lambda v: (v * WEIGHTS).sum() / WEIGHTS.sum(),
        ),
    ],
)
def test_sample_weights_and_reductions(reduction, reduce):
    loss = losses.LocalCrossentropy(0.1, reduction=reduction)
    found = loss(LABELS, GOODNESS, sample_weight=WEIGHTS)
    values = ref.crossentropies(ref.targets(LABELS, 3, 0.1), GOODNESS)
    np.testing.assert_allclose(numpy(found), reduce(values), rtol=1e-6)


@smoothings
@pytest.mark.parametrize(
    "labels",
    [
        LABELS,
        ref.targets(LABELS, 3, 0.3).astype("float32"),
    ],
    ids=("class numbers", "rows"),
)
def test_gradient(labels, smoothing):
    goodness = keras.Variable(GOODNESS)
    rows = ref.targets(LABELS, 3, 0.3 if labels.ndim == 2 else 0.0)
    rows = ref.smooth(rows, smoothing)
    (found,) = gradients(
        lambda: losses.LocalCrossentropy(smoothing)(labels, goodness),
        [goodness],
    )
    expected = (ref.softmax(GOODNESS.astype("float64")) - rows) / 4
    np.testing.assert_allclose(found, expected, atol=1e-7)


def test_large_goodness_is_stable():
    goodness = np.array([[1e4, -1e4, 0.0], [-1e4, 1e4, 0.0]], "float32")
    loss = losses.LocalCrossentropy(reduction="none")([0, 0], goodness)
    np.testing.assert_allclose(numpy(loss), [0.0, 2e4])


@pytest.mark.parametrize("wrong", (-1, 3, 255, 10**6))
@pytest.mark.parametrize("shape", ((4,), (4, 1)))
@pytest.mark.parametrize("smoothing", (0.0, 0.1))
def test_a_label_outside_the_classes_is_never_finite(wrong, shape, smoothing):
    labels = np.array([2, wrong, 1, 1]).reshape(shape)
    loss = losses.LocalCrossentropy(smoothing)(labels, GOODNESS)
    assert np.isnan(numpy(loss))
    each = losses.LocalCrossentropy(smoothing, reduction="none")
    isnan = np.isnan(numpy(each(labels, GOODNESS)))
    np.testing.assert_array_equal(isnan, [False, True, False, False])


def test_a_label_that_is_not_a_number():
    labels = np.array([2, np.nan, 1, 1], "float32")
    assert np.isnan(numpy(losses.LocalCrossentropy()(labels, GOODNESS)))


def test_two_classes_with_column_labels():
    """(B, 1) are class numbers, never one column of probabilities."""
    goodness = GOODNESS[:, :2]
    labels = np.array([[0], [1], [1], [0]])
    rows = ref.targets(labels, 2)
    loss = losses.LocalCrossentropy()(labels, goodness)
    expected = ref.crossentropies(rows, goodness).mean()
    assert numpy(loss) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    "shape", ((4, 2), (4, 4), (4, 3, 1), (4, 1, 3), (4, 1, 1), ())
)
def test_labels_of_the_wrong_shape(shape):
    with pytest.raises(ValueError, match=r"\(batch, 3\).*labels of shape"):
        losses.LocalCrossentropy()(np.zeros(shape, "float32"), GOODNESS)


@pytest.mark.parametrize("smoothing", (-0.1, 1.0, 1.5, float("nan")))
def test_bad_label_smoothing(smoothing):
    with pytest.raises(ValueError, match=f"label_smoothing={smoothing}"):
        losses.LocalCrossentropy(label_smoothing=smoothing)


def test_config_round_trip():
    loss = losses.LocalCrossentropy(0.2, reduction="sum", name="mine")
    config = keras.saving.serialize_keras_object(loss)
    copy = keras.saving.deserialize_keras_object(config)
    assert type(copy) is losses.LocalCrossentropy
    assert copy.name == "mine"
    assert copy.reduction == "sum"
    rows = ref.targets(LABELS, 3, 0.2)
    assert numpy(copy(LABELS, GOODNESS)) == pytest.approx(
        ref.crossentropies(rows, GOODNESS).sum(), rel=1e-6
    )


def test_half_precision_goodness_gives_a_float32_loss():
    goodness = (GOODNESS * 100).astype("float16")
    loss = losses.LocalCrossentropy(0.1)(LABELS, goodness)
    assert keras.backend.standardize_dtype(loss.dtype) == "float32"
    rows = ref.targets(LABELS, 3, 0.1)
    expected = ref.crossentropies(rows, goodness.astype("float64")).mean()
    assert numpy(loss) == pytest.approx(expected, rel=1e-6)


def test_in_a_compiled_model():
    """Labels of unknown shape, as inside `fit`."""
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Identity()(inputs))
    model.compile(loss=losses.LocalCrossentropy(0.1))
    rows = ref.targets(LABELS, 3, 0.1)
    expected = ref.crossentropies(rows, GOODNESS).mean()
    found = model.evaluate(GOODNESS, LABELS, batch_size=2, verbose=0)
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("floatx", ("bfloat16", "float16"))
@pytest.mark.parametrize(
    "loss",
    (
        losses.LocalCrossentropy,
        losses.SmoothMarginLoss,
        losses.ForwardForwardLoss,
        losses.SymBaLoss,
        lambda: losses.LocalCrossentropy(dtype="bfloat16"),
    ),
)
def test_large_class_numbers_under_a_small_floatx(floatx, loss):
    """Neither dtype has all whole numbers up to 2100."""
    labels = np.array([257, 1001, 2049, 2051])
    scores = normal((4, 2100), 3)
    rows = np.eye(2100, dtype="float32")[labels]
    expected = numpy(loss()(rows, scores))
    keras.config.set_floatx(floatx)
    assert numpy(loss()(labels, scores)) == pytest.approx(expected, rel=1e-6)


# JAX has no float64 unless it is switched on for the whole process.
@pytest.mark.only_on("tensorflow", "torch")
def test_float64():
    keras.config.set_floatx("float64")
    goodness = GOODNESS.astype("float64") / 3
    loss = losses.LocalCrossentropy(0.1)
    assert loss.dtype == "float64"
    rows = ref.targets(LABELS, 3, 0.1)
    expected = ref.crossentropies(rows, goodness).mean()
    # On PyTorch Keras promotes float64 to float32.
    exact = keras.backend.backend() == "tensorflow"
    assert float(loss(LABELS, goodness)) == pytest.approx(
        expected, rel=1e-13 if exact else 1e-6
    )
