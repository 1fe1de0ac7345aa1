"""Early exit against a sample-by-sample reference in NumPy."""

import keras
import numpy as np
import pytest
from tiny_models import CLASSES
from tiny_models import FEATURES
from tiny_models import Weights
from tiny_models import accuracy
from tiny_models import assert_close
from tiny_models import assert_same
from tiny_models import branched_model
from tiny_models import data
from tiny_models import dense_block
from tiny_models import dense_model
from tiny_models import state

from keras_ff import layers
from keras_ff.models import ForwardForwardModel
from keras_ff.models import ForwardOnlyModel
from keras_ff.models.stage import Stage

pytestmark = pytest.mark.eager


def confidences(combined):
    odds = np.exp(combined - combined.max(-1, keepdims=True))
    return (odds / odds.sum(-1, keepdims=True)).max(-1)


def reference(model, x, threshold, exits):
    """One sample at a time; `exits` are pairs of a name and layers used."""
    names = [layer.name for layer in model.local_layers]
    weights = model.contribution.weights
    predictions, used = [], []
    for goodness in model.goodness(x):
        combined = np.zeros(CLASSES)
        for name, number in exits:
            index = names.index(name)
            combined = combined + weights[index] * goodness[index]
            if confidences(combined) > threshold:
                break
        predictions.append(combined)
        used.append(number)
    return np.array(predictions), np.array(used)


def middle_threshold(model, x):
    """Between two samples' confidences, so that rounding cannot matter."""
    weights = model.contribution.weights[:, None]
    goodness = model.goodness(x) * weights
    found = np.sort(confidences(goodness[:, np.argmax(weights)]))
    half = len(found) // 2
    return found[half : half + 2].mean()


CHAIN = [("local_0", 1), ("local_1", 2), ("local_2", 3)]
CASES = {
    "chain": (lambda: dense_model(3), CHAIN),
    "chain_with_silent_layers": (
        lambda: dense_model(5, contribution=Weights([0, 2, 0, 0.5, 0])),
        [("local_1", 2), ("local_3", 4)],
    ),
    "graph": (
        lambda: branched_model([0.7, 2.0, 1.0, 0.0, 1.5]),
        [("a", 1), ("b", 2), ("c", 3), ("last", 4)],
    ),
    "graph_without_a_and_b": (
        lambda: branched_model([2.0, 0.0, 1.0, 0.0, 0.0]),
        [("c", 3), ("last", 4)],
    ),
}


@pytest.mark.eager(False)
@pytest.mark.parametrize("case", CASES)
def test_every_sample_leaves_where_it_is_decided(case):
    make, exits = CASES[case]
    model = make()
    x, _ = data(45)
    before = state(model)
    threshold = middle_threshold(model, x)
    predictions, layers_used = model.predict_early_exit(
        x, threshold, batch_size=8
    )
    expected, expected_used = reference(model, x, threshold, exits)
    np.testing.assert_array_equal(layers_used, expected_used)
    assert_close([predictions], [expected], rtol=1e-4, atol=1e-5)
    assert len(set(layers_used)) > 1
    assert_same(state(model), before)


def test_ends_of_the_threshold_are_the_first_exit_and_the_full_model():
    model = branched_model([0.7, 200.0, 1.0, 0.0, 1.5])
    x, _ = data(10)
    predictions, layers_used = model.predict_early_exit(x, 1)
    assert set(layers_used) == {4}
    assert_close([predictions], [model.predict(x, verbose=0)], 1e-4, 1e-4)
    predictions, layers_used = model.predict_early_exit(x, 0.0)
    assert set(layers_used) == {1}
    assert_close([predictions], [200 * model.goodness(x)[:, 1]], 1e-4, 1e-4)


def test_later_layers_are_computed_for_undecided_samples_only(monkeypatch):
    computed = {}
    compute = Stage.predict_on_batch

    def spy(stage, inputs):
        names = [
            part.name
            for part in stage.parts
            if isinstance(part, layers.LocalLayer)
        ]
        for name in names:
            computed.setdefault(name, []).append(len(inputs[0][0]))
        return compute(stage, inputs)

    monkeypatch.setattr(Stage, "predict_on_batch", spy)
    model = branched_model([0.7, 2.0, 1.0, 0.0, 1.5])
    x, _ = data(90)
    threshold = middle_threshold(model, x)
    _, layers_used = model.predict_early_exit(x, threshold, batch_size=16)
    assert set(computed) == {"a", "b", "c", "last"}
    for name, number in (("a", 1), ("b", 2), ("c", 3), ("last", 4)):
        # Full batches of one size, as few as there can be.
        batches = -(-np.sum(layers_used >= number) // 16)
        assert computed[name] == [16] * batches
    assert len(computed["last"]) < len(computed["a"]) == 6


class Batches(keras.utils.PyDataset):
    def __init__(self, x, y, size):
        super().__init__()
        self.arrays, self.size = (x, y), size

    def __len__(self):
        return -(-len(self.arrays[0]) // self.size)

    def __getitem__(self, index):
        start = index * self.size
        return tuple(a[start : start + self.size] for a in self.arrays)


def tf_dataset(x, y, size):
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(size)


def generator(x, y, size):
    # Batches of several sizes.
    for start, stop in ((0, 6), (6, 7), (7, 20), (20, len(x))):
        yield x[start:stop], y[start:stop]


@pytest.mark.parametrize("source", [Batches, tf_dataset, generator])
def test_all_that_predict_takes(source):
    model = dense_model(3)
    x, y = data(30)
    threshold = middle_threshold(model, x)
    expected = model.predict_early_exit(x, threshold, batch_size=8)
    assert 1 < expected.layers_used.mean() < 3
    actual = model.predict_early_exit(source(x, y, 8), threshold)
    assert_close([actual.predictions], [expected.predictions], 1e-4, 1e-5)
    assert_same([actual.layers_used], [expected.layers_used])
    if source is not generator:
        actual = model.predict_early_exit(source(x, y, 8), threshold, steps=2)
        assert_same([actual.layers_used], [expected.layers_used[:16]])


def test_several_inputs():
    left, right = keras.Input((3,), name="left"), keras.Input((2,), name="b")
    x, goodness_1 = dense_block("local_0")(left)
    _, goodness_2 = dense_block("local_1")(
        keras.layers.Concatenate()([x, right])
    )
    model = ForwardOnlyModel([left, right], [goodness_1, goodness_2])
    x, _ = data(20)
    x = [x[:, :3], x[:, 3:]]
    threshold = np.median(confidences(model.goodness(x)[:, 0])) + 1e-4
    predictions, used = model.predict_early_exit(x, threshold)
    assert sorted(set(used)) == [1, 2]
    rows = np.arange(20), used - 1
    expected = np.cumsum(model.goodness(x), axis=1)[rows]
    assert_close([predictions], [expected], 1e-4, 1e-5)


@pytest.mark.eager(False)
def test_weights_that_change_are_seen():
    # A trained model must not leave by the exits of an untrained one.
    model = dense_model(2, contribution=Weights([1.0, 1.0]))
    x, _ = data(12)
    model.predict_early_exit(x, 0.5)
    for layer in model.local_layers:
        layer.set_weights([2 * w for w in layer.get_weights()])
    model._readout.contribution_weights.assign([0.0, 0.5])
    predictions, used = model.predict_early_exit(x, 0.5)
    assert set(used) == {2}
    assert_close([predictions], [0.5 * model.goodness(x)[:, 1]], 1e-4, 1e-5)


def test_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = dense_model(3)
    x, _ = data(20)
    predictions, used = model.predict_early_exit(x, 1.0, batch_size=8)
    assert predictions.dtype == "float32" and set(used) == {3}
    assert_close([predictions], [model.predict(x, verbose=0)], 2e-2, 2e-2)


# === Calibration ===


def calibrated_by_search(model, x, y, loss, exits):
    """All thresholds that could make a difference, one by one."""
    full = accuracy(model.predict(x, verbose=0), y)
    names = [layer.name for layer in model.local_layers]
    index = [names.index(name) for name, _ in exits]
    weighted = model.contribution.weights[:, None] * model.goodness(x)
    combined = np.cumsum(weighted[:, index].astype("float64"), axis=1)
    certain = confidences(combined)
    for threshold in [0.0, *np.sort(certain[:, :-1].ravel())]:
        leaves = certain > threshold
        leaves[:, -1] = True
        first = np.argmax(leaves, axis=1)
        found = accuracy(combined[np.arange(len(x)), first], y)
        if found >= full - loss - 1e-9:
            used = np.mean([exits[i][1] for i in first])
            return threshold, found, full, used
    raise AssertionError("No threshold, not even the largest, was enough.")


@pytest.fixture(scope="module")
def chain():
    """A model, and data on which its last layer is worth something."""
    keras.utils.set_random_seed(3)
    model = dense_model(3, contribution=Weights([0.6, 0.3, 1.5]))
    x, _ = data(150, seed=4)
    y = np.argmax(model.predict(x, verbose=0), axis=-1)
    y[::7] = (y[::7] + 1) % CLASSES
    return model, x, y


@pytest.mark.parametrize("loss", [0.0, 0.02, 0.1, 1.0])
def test_calibration_finds_the_smallest_threshold(loss, chain):
    model, x, y = chain
    found = model.calibrate_early_exit(x, y, loss, batch_size=50)
    threshold, *expected = calibrated_by_search(model, x, y, loss, CHAIN)
    assert_close([found[1:]], [expected])
    assert threshold <= found.threshold < threshold + 0.4
    predictions, used = model.predict_early_exit(x, found.threshold, 50)
    assert accuracy(predictions, y) == pytest.approx(found.accuracy)
    assert used.mean() == pytest.approx(found.mean_layers_used)
    assert found.full_accuracy - found.accuracy <= loss + 1e-9


@pytest.mark.only_on("torch")
def test_calibration_takes_datasets_and_one_hot_labels(chain):
    model, x, y = chain
    expected = model.calibrate_early_exit(x, y, 0.05, batch_size=50)
    assert 1 < expected.mean_layers_used < 3
    found = model.calibrate_early_exit(
        Batches(x, np.eye(CLASSES)[y], 50), max_accuracy_loss=0.05
    )
    assert_close([found], [expected])


def test_calibration_by_weighted_samples(chain):
    """As on data in which each sample comes as often as its weight says."""
    model, x, y = chain
    times = np.arange(len(y)) % 3
    expected = model.calibrate_early_exit(x.repeat(times, 0), y.repeat(times))
    assert expected.full_accuracy != np.mean(
        np.argmax(model.predict(x, verbose=0), -1) == y
    )
    found = model.calibrate_early_exit(x, y, sample_weight=times.tolist())
    assert_close([found[1:]], [expected[1:]])
    # Of samples of weight zero the threshold may fall short.
    assert found.threshold <= expected.threshold
    stream = Batches(x, np.stack([y, times], 1), 50)
    parts = [stream[i] for i in range(len(stream))]
    found = model.calibrate_early_exit((a, b[:, 0], b[:, 1]) for a, b in parts)
    assert_close([found[1:]], [expected[1:]])
    with pytest.raises(ValueError, match="not all be zero"):
        model.calibrate_early_exit(x, y, sample_weight=0 * times)


@pytest.mark.only_on("torch")
def test_calibration_of_a_graph_with_silent_layers():
    model = branched_model([2.0, 0.0, 1.0, 0.0, 0.0])
    x, y = data(80)
    found = model.calibrate_early_exit(x, y, 0.05)
    exits = [("c", 3), ("last", 4)]
    threshold, *expected = calibrated_by_search(model, x, y, 0.05, exits)
    assert_close([found[1:]], [expected])


# === Forward-Forward ===


def forward_forward(**options):
    return ForwardForwardModel(
        [keras.Input((FEATURES,))] + [layers.FFDense(8) for _ in range(3)],
        num_classes=CLASSES,
        **options,
    )


def test_forward_forward_leaves_by_its_goodness():
    model = forward_forward()
    x, _ = data(21)
    # Its first layer does not contribute.
    goodness = np.cumsum(model.goodness(x)[:, 1:], axis=1)
    threshold = np.median(confidences(goodness[:, 0])) + 1e-6
    predictions, used = model.predict_early_exit(x, threshold, batch_size=8)
    assert sorted(set(used)) == [2, 3]
    expected = goodness[np.arange(21), used - 2]
    assert_close([predictions], [expected], 1e-4, 1e-4)
    full, _ = model.predict_early_exit(x, 1.0)
    assert_close([full], [model.predict(x, verbose=0)], 1e-4, 1e-4)


@pytest.mark.only_on("torch")
@pytest.mark.parametrize("method", ["predict", "calibrate"])
def test_a_readout_has_no_exits(method):
    model = forward_forward(inference="readout")
    x, y = data(6)
    with pytest.raises(ValueError, match="no early exit. .*'readout'"):
        if method == "predict":
            model.predict_early_exit(x, 0.9)
        else:
            model.calibrate_early_exit(x, y)


# === Bad input ===


@pytest.mark.only_on("torch")
@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan"), float("inf")])
def test_threshold_out_of_range(value):
    match = rf"`threshold` must be in \[0, 1\]. Received: threshold={value}"
    with pytest.raises(ValueError, match=match):
        dense_model().predict_early_exit(data(4)[0], value)


@pytest.mark.only_on("torch")
@pytest.mark.parametrize("value", ["0.9", None, True, [0.5]])
def test_threshold_that_is_no_number(value):
    match = "`threshold` must be a number .* of type " + type(value).__name__
    with pytest.raises(TypeError, match=match):
        dense_model().predict_early_exit(data(4)[0], value)


@pytest.mark.only_on("torch")
def test_wrong_accuracy_loss():
    model, (x, y) = dense_model(), data(4)
    with pytest.raises(ValueError, match="Received: max_accuracy_loss=-0.01"):
        model.calibrate_early_exit(x, y, max_accuracy_loss=-0.01)
    with pytest.raises(TypeError, match="max_accuracy_loss='1 %' of type str"):
        model.calibrate_early_exit(x, y, max_accuracy_loss="1 %")


@pytest.mark.only_on("torch")
def test_calibration_without_labels_or_with_wrong_ones():
    model, (x, y) = dense_model(), data(8)
    for source in (x, Batches(x, None, 4)):
        if source is not x:
            source.arrays = (x,)
        with pytest.raises(ValueError, match="Labels are needed. .*y=None"):
            model.calibrate_early_exit(source)
    for arguments in ((x, y + 1), (Batches(x, y + 1, 4),)):
        with pytest.raises(ValueError, match="whole numbers in .* Received: 3"):
            model.calibrate_early_exit(*arguments)


@pytest.mark.only_on("torch")
def test_no_samples():
    model = dense_model()
    x, y = np.zeros((0, FEATURES)), np.zeros(0)
    with pytest.raises(ValueError, match="`x` must hold samples"):
        model.predict_early_exit(x, 0.9)
    with pytest.raises(ValueError, match="`x` must hold samples"):
        model.calibrate_early_exit(x, y)


@pytest.mark.only_on("torch")
@pytest.mark.parametrize(
    "size, error", [(0, ValueError), (-5, ValueError), ("8", TypeError)]
)
def test_batch_size_is_checked(size, error):
    model = dense_model()
    with pytest.raises(error, match=f"`batch_size`.*batch_size={size!r}"):
        model.predict_early_exit(data(4)[0], 0.5, batch_size=size)


def test_samples_of_another_shape():
    model = dense_model()
    x = np.zeros((4, FEATURES + 1), "float32")
    with pytest.raises(ValueError, match=r"shape \(5,\)\. Received.* \(6,\)"):
        model.predict_early_exit(x, 0.5)
