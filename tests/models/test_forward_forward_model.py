"""Hinton's algorithm, held against its formulas in NumPy."""

import keras
import numpy as np
import pytest
from tiny_models import CLASSES
from tiny_models import accuracy
from tiny_models import assert_close
from tiny_models import data
from tiny_models import numpy
from tiny_models import state

from keras_ff import contributions
from keras_ff import layers
from keras_ff import losses
from keras_ff.datasets import ArrayBatches
from keras_ff.layers.label_overlay import LabelOverlay
from keras_ff.models import ForwardForwardModel
from keras_ff.models import load_model

pytestmark = pytest.mark.eager

SHAPE = (4, 2)
X, Y = data(24, SHAPE)


def make(num_layers=3, units=7, layer_options=None, **options):
    keras.utils.set_random_seed(3)
    return ForwardForwardModel(
        [
            keras.Input(SHAPE),
            *[
                layers.FFDense(
                    units, name=f"local_{i}", **(layer_options or {})
                )
                for i in range(num_layers)
            ],
        ],
        num_classes=CLASSES,
        **options,
    )


def compiled(loss=None, rate=0.01, **options):
    model = make(**options)
    model.compile(optimizer=keras.optimizers.SGD(rate), loss=loss)
    return model


def with_readout(model):
    """Gives the read-out, zero at first, weights that tell labels apart."""
    kernel = model._readout.classifier.kernel
    rng = np.random.default_rng(8)
    kernel.assign(rng.normal(size=tuple(kernel.shape)))
    return model


class ByHand:
    """The forward pass in float64 NumPy."""

    def __init__(self, model):
        self.weights = [
            (numpy(a.kernel).astype("float64"), numpy(a.bias))
            for a in model.local_layers
        ]
        self.readout = numpy(model._readout.classifier.kernel)

    def layers(self, x, rows):
        z = x.reshape(len(x), -1).astype("float64").copy()
        z[:, :CLASSES] = rows
        features, goodness = [], []
        z = z / np.sqrt((z**2).mean(-1, keepdims=True) + 1e-5)
        for kernel, bias in self.weights:
            h = np.maximum(z @ kernel + bias, 0.0)
            goodness.append((h**2 - 1.0).sum(-1))
            z = h / np.sqrt((h**2).mean(-1, keepdims=True) + 1e-5)
            features.append(z)
        return features, np.stack(goodness, axis=1)

    def goodness(self, x):
        """Of every layer and label, `(samples, layers, classes)`."""
        return np.stack(
            [self.layers(x, row)[1] for row in np.eye(CLASSES)], axis=-1
        )

    def logits(self, x):
        features, _ = self.layers(x, np.full(CLASSES, 1 / CLASSES))
        return np.concatenate(features[1:], axis=-1) @ self.readout


def test_prediction_is_the_goodness_of_every_label_without_the_first_layer():
    model = make()
    expected = ByHand(model).goodness(X)
    np.testing.assert_allclose(
        model.goodness(X), expected, rtol=1e-4, atol=1e-4
    )
    np.testing.assert_allclose(
        model.predict(X, batch_size=5, verbose=0),
        expected[:, 1:].sum(axis=1),
        rtol=1e-4,
        atol=1e-4,
    )
    for same in (model, make(contribution=None)):
        np.testing.assert_array_equal(same.contribution.weights, [0, 1, 1])


def test_one_layer_predicts_by_itself():
    model = make(num_layers=1)
    expected = ByHand(model).goodness(X)[:, 0]
    np.testing.assert_allclose(
        model.predict(X, verbose=0), expected, rtol=1e-4, atol=1e-4
    )


def test_readout_inference_is_one_neutral_pass():
    model = with_readout(make())
    by_goodness = model.predict(X, verbose=0)
    model.inference = "readout"
    expected = ByHand(model).logits(X)
    np.testing.assert_allclose(
        model.predict(X, verbose=0), expected, rtol=1e-4, atol=1e-4
    )
    model.inference = "goodness"
    np.testing.assert_array_equal(model.predict(X, verbose=0), by_goodness)


def softplus(x):
    return np.logaddexp(0, x)


def forward_forward_loss(right, wrong):
    return softplus(-right) + softplus(wrong)


def symba_loss(right, wrong):
    return softplus(-4.0 * (right - wrong))


@pytest.mark.parametrize(
    "loss, formula",
    [(None, forward_forward_loss), (losses.SymBaLoss(), symba_loss)],
)
def test_evaluate_is_the_mean_over_all_wrong_labels(loss, formula):
    model = compiled(loss)
    goodness = ByHand(model).goodness(X)
    expected = np.mean(
        [
            formula(sample[:, y], sample[:, k]).sum()
            for sample, y in zip(goodness, Y)
            for k in range(CLASSES)
            if k != y
        ]
    )
    before = state(model)
    result = model.evaluate(X, Y, verbose=0, return_dict=True)
    assert result["loss"] == pytest.approx(expected, rel=1e-4)
    prediction = goodness[:, 1:].sum(axis=1)
    assert result["accuracy"] == pytest.approx(accuracy(prediction, Y))
    assert_close(state(model), before)


def test_evaluate_has_the_accuracy_of_the_inference():
    model = with_readout(compiled())
    model.inference = "readout"
    result = model.evaluate(X, Y, verbose=0, return_dict=True)
    expected = accuracy(ByHand(model).logits(X), Y)
    assert result["accuracy"] == pytest.approx(expected)


def gradients_of_a_pair(by_hand, x, right, wrong, step=1e-6):
    """Central differences of each layer's loss with respect to its bias."""
    result = []
    for i, (kernel, bias) in enumerate(by_hand.weights):
        gradient = np.zeros(len(bias))
        for j in range(len(bias)):
            values = []
            for sign in (1, -1):
                moved = bias.astype("float64").copy()
                moved[j] += sign * step
                by_hand.weights[i] = (kernel, moved)
                goodness = [
                    by_hand.layers(x, np.eye(CLASSES)[labels])[1][:, i]
                    for labels in (right, wrong)
                ]
                values.append(forward_forward_loss(*goodness).mean())
            gradient[j] = (values[0] - values[1]) / (2 * step)
        by_hand.weights[i] = (kernel, bias)
        result.append(gradient)
    return result


def draw_the_next_class(model):
    model._readout.draw_negatives = lambda y, logits: keras.ops.mod(
        keras.ops.cast(y, "int32") + 1, CLASSES
    )


@pytest.mark.eager(False)
def test_a_step_follows_the_gradient_of_positive_and_negative_data():
    model = with_readout(compiled(rate=0.1))
    draw_the_next_class(model)
    by_hand = ByHand(model)
    before = [numpy(a.bias) for a in model.local_layers]
    model.train_on_batch(X[:8], Y[:8])
    expected = gradients_of_a_pair(by_hand, X[:8], Y[:8], (Y[:8] + 1) % CLASSES)
    for layer, old, gradient in zip(model.local_layers, before, expected):
        actual = (old - numpy(layer.bias)) / 0.1
        np.testing.assert_allclose(actual, gradient, rtol=2e-3, atol=2e-3)


def negatives_of(model, y, logits, rounds=200):
    return np.stack(
        [numpy(model._readout.draw_negatives(y, logits)) for _ in range(rounds)]
    )


@pytest.mark.parametrize(
    "one_hot",
    [True, pytest.param(False, marks=pytest.mark.only_on("torch"))],
)
def test_negatives_never_carry_the_right_label(one_hot):
    y = np.array([0, 1, 2])
    labels = np.eye(3, dtype="float32")[y] if one_hot else y
    # The read-out is very sure of the right labels.
    logits = keras.ops.convert_to_tensor(50 * np.eye(3, dtype="float32"))
    for kind in ("hard", "uniform"):
        drawn = negatives_of(make(negatives=kind), labels, logits)
        assert not np.any(drawn == y)
        assert np.all((drawn >= 0) & (drawn < 3))
        # Each of the other two.
        assert all(len(np.unique(column)) == 2 for column in drawn.T)


def test_hard_negatives_follow_the_readout():
    logits = np.log(np.array([[0.2, 0.6, 0.2]] * 64, "float32"))
    y = np.zeros(64, int)
    tensor = keras.ops.convert_to_tensor(logits)
    hard = negatives_of(make(negatives="hard"), y, tensor)
    uniform = negatives_of(make(negatives="uniform"), y, tensor)
    assert np.mean(hard == 1) == pytest.approx(0.75, abs=0.02)
    assert np.mean(uniform == 1) == pytest.approx(0.5, abs=0.02)


@pytest.mark.eager(False)
def test_the_readout_learns_from_its_own_loss():
    model = with_readout(compiled(rate=0.1))
    by_hand = ByHand(model)
    features, _ = by_hand.layers(X[:8], np.full(CLASSES, 1 / CLASSES))
    features = np.concatenate(features[1:], axis=-1)
    logits = features @ by_hand.readout
    p = np.exp(logits - logits.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    gradient = features.T @ (p - np.eye(CLASSES)[Y[:8]]) / 8
    logs = model.train_on_batch(X[:8], Y[:8], return_dict=True)
    actual = (by_hand.readout - numpy(model._readout.classifier.kernel)) / 0.1
    np.testing.assert_allclose(actual, gradient, rtol=1e-3, atol=1e-4)
    assert logs["accuracy"] == pytest.approx(accuracy(logits, Y[:8]))


def test_the_readouts_gradient_is_clipped_and_checked():
    model = with_readout(compiled(rate=1.0, layer_clipnorm=0.01))
    kernel = model._readout.classifier.kernel
    before = numpy(kernel)
    model.train_on_batch(X[:8], Y[:8])
    norm = np.linalg.norm(numpy(kernel) - before)
    assert norm == pytest.approx(0.01, rel=1e-3)
    kernel.assign(np.full(kernel.shape, 3e38))
    before = state(model)
    with pytest.raises(ValueError, match="became NaN or infinite"):
        model.train_on_batch(X[:8], Y[:8])
    weights = [numpy(v) for v in model.trainable_variables]
    for value in weights:
        assert any(np.array_equal(value, old) for old in before)


@pytest.mark.only_on("torch")
def test_integers_are_taken_as_the_same_floats():
    pixels = np.random.default_rng(0).integers(0, 256, (8, *SHAPE))
    found = []
    for dtype in ("float32", "uint8"):
        keras.utils.set_random_seed(3)
        model = ForwardForwardModel(
            [keras.Input(SHAPE, dtype=dtype), layers.FFDense(7)],
            num_classes=CLASSES,
            inference="readout",
            label_scale=255.0,
        )
        with_readout(model).compile(optimizer="adam")
        x = pixels.astype(dtype)
        found.append(model.predict(x, verbose=0))
        model.fit(x, Y[:8], verbose=0)
    np.testing.assert_allclose(*found, rtol=1e-5)


@pytest.mark.only_on("torch")
def test_a_label_that_hardly_shows_is_told():
    pixels = 255 * np.abs(X) / np.abs(X).max()
    model = compiled()
    with pytest.warns(UserWarning, match="reach 255.*1 / 255.*label_scale"):
        model.fit(pixels, Y, verbose=0)
    # Other warnings are errors here.
    model.fit(pixels / 255, Y, verbose=0)
    compiled(label_scale=255.0).fit(pixels, Y, verbose=0)
    batches = ArrayBatches((pixels, Y), 4)
    with pytest.warns(UserWarning, match="reach 2.*label_scale"):
        compiled().fit(batches, verbose=0)


def test_no_gradient_leaves_a_layer():
    """A layer's step does not depend on the layers above it."""
    results = []
    for layer_count in (1, 3):
        model = make(layer_count, negatives="uniform")
        model.compile(optimizer=keras.optimizers.SGD(0.1))
        first = model.local_layers[0]
        rng = np.random.default_rng(4)
        first.kernel = rng.normal(size=tuple(first.kernel.shape))
        draw_the_next_class(model)
        model.train_on_batch(X[:8], Y[:8])
        results.append(numpy(first.kernel))
    np.testing.assert_allclose(*results, rtol=1e-6)


@pytest.mark.eager(False)
def test_fit_learns_saves_and_loads(tmp_path):
    x, y = data(240, SHAPE)
    model = make(units=32, layer_options=dict(peer_normalization=0.03))
    model.compile(optimizer=keras.optimizers.Adam(0.01))
    history = model.fit(
        x,
        np.eye(CLASSES)[y],
        batch_size=20,
        epochs=10,
        validation_data=(X, np.eye(CLASSES)[Y]),
        verbose=0,
    ).history
    assert history["val_accuracy"][-1] > 0.8
    # The read-out's.
    assert history["accuracy"][-1] > 0.7
    assert history["loss"][-1] < history["loss"][0]
    path = tmp_path / "model.keras"
    model.inference = "readout"
    model.save(path)
    loaded = load_model(path)
    assert type(loaded) is ForwardForwardModel
    assert loaded.inference == "readout"
    for inference in ("readout", "goodness"):
        model.inference = loaded.inference = inference
        np.testing.assert_array_equal(
            loaded.predict(X, verbose=0), model.predict(X, verbose=0)
        )
    for a in (model, loaded):
        a.fit(x, np.eye(CLASSES)[y], batch_size=20, epochs=1, verbose=0)
    assert_close(state(loaded), state(model))
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    assert_close([clone.predict(X, verbose=0)], [model.predict(X, verbose=0)])


def test_contributions_and_layer_metrics():
    model = make(contribution=contributions.LossAware(), layer_metrics=True)
    model.compile(optimizer="adam")
    logs = model.fit(X, Y, validation_data=(X, Y), verbose=0).history
    weights = model.contribution.weights
    assert weights.sum() == pytest.approx(1.0, rel=1e-5)
    hits = ByHand(model).goodness(X).argmax(-1) == Y[:, None]
    for i in range(3):
        assert logs[f"val_local_{i}_accuracy"][0] == pytest.approx(
            hits[:, i].mean()
        )
        assert 0 <= logs[f"local_{i}_accuracy"][0] <= 1


@pytest.mark.eager(False)
def test_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = make()
    model.compile(optimizer="adam")
    model.fit(X, Y, verbose=0)
    assert model.predict(X, verbose=0).dtype == np.float32


@pytest.mark.only_on("torch")
def test_summary_names_the_overlay_and_the_layers(capsys):
    make().summary()
    printed = capsys.readouterr().out
    for name in ("label_overlay", "local_0", "local_2"):
        assert name in printed


@pytest.mark.eager(False)
def test_bad_label_in_a_stream_is_not_trained_on():
    model = compiled()
    before = [numpy(v) for v in model.weights]

    class Stream(keras.utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            return X[:4], np.array([0, 1, CLASSES, 2])

    with pytest.raises(ValueError, match=r"in \[0, 3\).*Received: 3"):
        model.fit(Stream(), verbose=0)
    for old, variable in zip(before, model.weights):
        np.testing.assert_array_equal(numpy(variable), old)


@pytest.mark.parametrize(
    "make_bad, error, message",
    [
        (lambda: make(negatives="easy"), ValueError, "`negatives` must be"),
        (lambda: make(inference="vote"), ValueError, "`inference` must be"),
        (lambda: make(label_scale=0.0), ValueError, "value of a label"),
        (lambda: make(depth=3), TypeError, "unexpected keyword.*depth"),
        (
            lambda: ForwardForwardModel(
                [keras.Input((9,)), layers.FFDense(4)], num_classes=9
            ),
            ValueError,
            "Received: 9 features",
        ),
        (
            lambda: ForwardForwardModel(
                [keras.Input((9,)), layers.FFDense(4)], num_classes=1
            ),
            ValueError,
            "`num_classes` must be",
        ),
        (
            lambda: ForwardForwardModel([keras.Input((9,)), layers.FFDense(4)]),
            TypeError,
            "needs `num_classes`",
        ),
        (
            lambda: ForwardForwardModel(
                [keras.Input((9,)), keras.layers.Dense(4)], num_classes=3
            ),
            TypeError,
            "made of FFDense layers.*Dense",
        ),
        (
            lambda: ForwardForwardModel([keras.Input((9,))], num_classes=3),
            TypeError,
            "list of keras.Input",
        ),
    ],
)
def test_bad_arguments(make_bad, error, message):
    with pytest.raises(error, match=message):
        make_bad()


def test_bad_inference_later():
    model = make()
    with pytest.raises(ValueError, match="`inference` must be one of"):
        model.inference = "vote"
    assert model.inference == "goodness"


def test_graph_of_ones_own_is_refused():
    inputs = keras.Input((9,))
    _, goodness = layers.FFDense(4)(LabelOverlay(3)(inputs))
    for arguments in ((inputs, [goodness]), (inputs, goodness)):
        with pytest.raises(TypeError, match="takes a list of layers"):
            ForwardForwardModel(*arguments, num_classes=3)
