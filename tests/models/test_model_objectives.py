"""Local objectives in training, in copies and in files."""

import keras
import numpy as np
import pytest
from by_hand import BACKEND
from keras import ops
from reference.arrays import normal
from reference.backend import gradients
from tiny_models import CLASSES
from tiny_models import assert_close
from tiny_models import assert_same
from tiny_models import data
from tiny_models import dense_block
from tiny_models import layer_losses
from tiny_models import numpy
from tiny_models import state
from tiny_models import twin

import keras_ff
from keras_ff import layers
from keras_ff.models import ForwardOnlyModel
from keras_ff.models import load_model
from keras_ff.models.without_objectives import without_objectives
from keras_ff.objectives import LocalObjective
from keras_ff.objectives import SimilarityMatching
from keras_ff.objectives import SupervisedContrast

pytestmark = pytest.mark.eager

RATE = 0.1
# What no backend changes.
once = pytest.mark.only_on("torch")
SHAPE = (6, 6, 2)


@keras.saving.register_keras_serializable(package="keras_ff_tests")
class Variance(LocalObjective):
    """Has a projection with all that a layer may have."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.projection = keras.Sequential(
            [
                keras.layers.Flatten(),
                keras.layers.Dense(3, use_bias=False, kernel_regularizer="l2"),
                keras.layers.BatchNormalization(momentum=0.5),
            ],
            name="projection",
        )

    def sample_losses(self, projection, labels, present):
        return ops.mean(ops.square(projection - labels), axis=-1)


def contrast(**kwargs):
    return SupervisedContrast(units=11, pooling=2, name="contrast", **kwargs)


def conv_model(**options):
    """Batch statistics and an objective of every kind."""
    return ForwardOnlyModel(
        [
            keras.Input(SHAPE),
            layers.LocalBlock(
                [
                    keras.layers.Conv2D(4, 3, use_bias=False),
                    keras.layers.BatchNormalization(),
                    keras.layers.ReLU(),
                ],
                layers.GoodnessProjection(CLASSES),
                normalization="layer",
                objectives=[contrast(weight=0.5), Variance(weight=2.0)],
                name="local_0",
            ),
            layers.PrototypeConv2D(
                4,
                3,
                CLASSES,
                objectives=SimilarityMatching(3.0, name="similarity"),
                name="local_1",
            ),
        ],
        **options,
    )


def dense_model(objectives=(), **options):
    """The second layer's objectives are given."""
    return ForwardOnlyModel(
        [
            keras.Input((5,)),
            dense_block("local_0", normalization="rms"),
            dense_block("local_1", objectives=list(objectives)),
        ],
        **options,
    )


def losses_by_hand(model, x, y, weights, reduction, training):
    """The loss of every layer, written out, with its gradient."""
    rows = ops.convert_to_tensor(np.eye(CLASSES, dtype="float32")[y])
    divisor = {
        "sum": 1.0,
        "sum_over_batch_size": len(y),
        "mean_with_sample_weight": weights.sum(),
    }[reduction]

    weights = ops.convert_to_tensor(weights)

    def reduced(values):
        return ops.sum(values * weights) / divisor

    total = []
    for layer in model.local_layers:
        activation = ops.stop_gradient(ops.convert_to_tensor(x))
        for part in layer.layers:
            activation = part(activation, training=training)
        goodness = layer.head(activation)
        features = activation
        if layer.normalization is not None:
            features = layer.normalization(features)
        log_p = ops.log_softmax(goodness)
        loss = reduced(-ops.sum(log_p * rows, axis=-1))
        for objective in layer.objectives:
            values = objective(features, rows, weights, training=training)
            loss = loss + objective.weight * reduced(values)
        loss = loss + sum(layer.losses)
        total.append(loss)
        x = features
    return total


@pytest.mark.eager(False)
@pytest.mark.parametrize(
    "reduction",
    [
        "sum_over_batch_size",
        pytest.param("sum", marks=once),
        pytest.param("mean_with_sample_weight", marks=once),
    ],
)
def test_step_and_logs_are_those_of_the_summed_losses(reduction):
    model = conv_model(layer_metrics=True)
    loss = keras_ff.losses.LocalCrossentropy(reduction=reduction)
    model.compile(keras.optimizers.SGD(RATE), loss)
    hand = twin(model)
    x, y = data(12, SHAPE)
    weights = np.random.default_rng(3).uniform(0.5, 2, 12).astype("float32")
    arguments = (hand, x, y, weights, reduction)

    evaluated = model.test_on_batch(x, y, weights, return_dict=True)
    expected = [numpy(v) for v in losses_by_hand(*arguments, training=False)]
    assert evaluated["loss"] == pytest.approx(sum(expected), rel=1e-5)
    for i, value in enumerate(expected):
        assert evaluated[f"local_{i}_loss"] == pytest.approx(value, rel=1e-5)

    variables = hand.trainable_variables
    assert len(variables) == 12
    start = [numpy(v) for v in variables]
    found = gradients(
        lambda: sum(losses_by_hand(*arguments, training=True)), variables
    )
    model.reset_metrics()
    model.train_on_batch(x, y, weights)
    for variable, old, gradient in zip(model.trainable_variables, start, found):
        assert np.abs(gradient).max() > 1e-7, variable.path
        np.testing.assert_allclose(
            numpy(variable),
            old - RATE * gradient,
            rtol=1e-5,
            atol=1e-5 * RATE * np.abs(gradient).max(),
            err_msg=variable.path,
        )
    # Statistics of the batch, the projection's too.
    for variable, expected in zip(
        model.non_trainable_variables, hand.non_trainable_variables
    ):
        if "moving" in variable.path and BACKEND != "jax":
            np.testing.assert_allclose(
                numpy(variable), numpy(expected), rtol=1e-5, atol=1e-6
            )


@once
def test_an_objective_reaches_its_own_layer_only():
    plain, with_objective = (
        dense_model(),
        dense_model([SupervisedContrast(units=3)]),
    )
    x, y = data(24)
    results = {}
    for name, model in (("plain", plain), ("objective", with_objective)):
        model.compile(keras.optimizers.SGD(RATE))
        for layer in model.local_layers:
            for part in (layer.layers[0], layer.head):
                values = [normal(v.shape, seed=4) for v in part.variables]
                part.set_weights(values)
        model.train_on_batch(x, y)
        results[name] = [
            [numpy(v) for v in layer.layers[0].variables]
            for layer in model.local_layers
        ]
    assert_same(results["plain"][0], results["objective"][0])
    changed = results["plain"][1][0] - results["objective"][1][0]
    assert np.abs(changed).max() > 1e-4


@once
def test_clipping_sees_the_objective():
    model = dense_model(
        [SupervisedContrast(100.0, units=3)], layer_clipnorm=1.0
    )
    model.compile(keras.optimizers.SGD(1.0))
    before = state(model)
    model.train_on_batch(*data(24))
    layer = model.local_layers[1]
    ids = {id(v) for v in layer.trainable_variables}
    assert any("contrast" in v.path for v in layer.trainable_variables)
    squares = [
        np.square(numpy(v) - old).sum()
        for v, old in zip(model.variables, before)
        if id(v) in ids
    ]
    assert sum(squares) == pytest.approx(1.0, rel=1e-4)


@once
def test_padding_of_weight_zero_changes_nothing():
    x, y = data(10)
    objectives = [SupervisedContrast(units=3), SimilarityMatching(2.0)]
    loss = keras_ff.losses.LocalCrossentropy(
        reduction="mean_with_sample_weight"
    )
    model = dense_model(objectives)
    padded = twin(model)
    for each in (model, padded):
        each.compile(keras.optimizers.SGD(RATE), loss)
    weights = np.ones(10, "float32")
    model.train_on_batch(x, y, weights)
    padded.train_on_batch(
        np.concatenate([x, 5 * x[:4]]),
        np.concatenate([y, y[:4]]),
        np.concatenate([weights, 0 * weights[:4]]),
    )
    assert_close(state(padded), state(model), rtol=1e-4, atol=1e-6)


@once
def test_a_batch_without_pairs_trains_on_the_goodness():
    x, _ = data(CLASSES)
    y = np.arange(CLASSES)
    model = dense_model([SupervisedContrast(units=3)])
    model.compile(keras.optimizers.SGD(RATE))
    goodness = model.goodness(x)
    before = state(model)
    logs = model.train_on_batch(x, y, return_dict=True)
    expected = layer_losses(goodness, y).sum()
    assert logs["loss"] == pytest.approx(expected, rel=1e-5)
    changed = {
        v.path.split("/")[1]
        for v, old in zip(model.trainable_variables, before)
        if np.any(numpy(v) != old)
    }
    assert not any("contrast" in part for part in changed)
    assert any("dense" in part for part in changed)


@once
@pytest.mark.eager(False)
@pytest.mark.parametrize(
    "policy", ["mixed_float16", pytest.param("mixed_bfloat16", marks=once)]
)
def test_mixed_precision(policy):
    keras.config.set_dtype_policy(policy)
    model = conv_model()
    model.compile(keras.optimizers.Adam(0.01))
    x, y = data(24, SHAPE)
    losses = model.fit(x, y, epochs=6, batch_size=24, verbose=0).history["loss"]
    assert np.all(np.isfinite(losses)) and losses[-1] < losses[0]


@once
def test_one_hot_labels_and_contributions():
    """The weights of the layers follow the loss of the goodness alone."""
    x, y = data(24)
    rows = np.eye(CLASSES, dtype="float32")[y]
    results = []
    for labels in (y, rows):
        keras.utils.set_random_seed(1)
        model = dense_model(
            [SupervisedContrast(units=3)],
            contribution=keras_ff.contributions.LossAware(source="training"),
        )
        model.compile(keras.optimizers.SGD(0.0))
        model.fit(x, labels, batch_size=12, verbose=0)
        results.append(state(model)[-5:])
        losses = layer_losses(model.goodness(x), y)
        weights = np.exp(-losses) / np.exp(-losses).sum()
        np.testing.assert_allclose(
            model.contribution.weights, weights, rtol=1e-4
        )
        logs = model.evaluate(x, labels, verbose=0, return_dict=True)
        assert logs["loss"] > losses.sum() + 0.1
    assert_close(*results)


# === Copies and files ===


def copies(model, folder):
    model.save(folder / "model.keras")
    yield load_model(folder / "model.keras")
    yield model.truncate(2)
    yield twin(model)


def test_copies_train_on(tmp_path):
    model = conv_model()
    x, y = data(12, SHAPE)
    model.compile(keras.optimizers.SGD(RATE))
    model.train_on_batch(x, y)
    found = list(copies(model, tmp_path))
    model.train_on_batch(x, y)
    for copy in found:
        kinds = [
            [type(o).__name__ for o in layer.objectives]
            for layer in copy.local_layers
        ]
        assert kinds == [
            ["SupervisedContrast", "Variance"],
            ["SimilarityMatching"],
        ]
    for copy in found[:2]:
        if not copy.compiled:
            copy.compile(keras.optimizers.SGD(RATE))
        copy.train_on_batch(x, y)
        assert_close(
            [numpy(v) for v in copy.trainable_variables],
            [numpy(v) for v in model.trainable_variables],
            rtol=1e-4,
        )
    # Without the layer, without its objective.
    shapes = [tuple(v.shape) for v in model.truncate(1).variables]
    assert (4 * 4, 11) in shapes and (3, 3, 4, 4) not in shapes


@once
def test_weights_file(tmp_path):
    model, other = conv_model(), conv_model()
    model.save_weights(tmp_path / "model.weights.h5")
    other.load_weights(tmp_path / "model.weights.h5")
    weights = [
        [numpy(v) for v in m.trainable_variables] for m in (model, other)
    ]
    assert_same(*weights)


def test_predictions_do_not_compute_objectives(monkeypatch, tmp_path):
    model = conv_model()
    x, y = data(6, SHAPE)
    model.compile()
    expected = model.predict(x, verbose=0)

    def refuse(*args, **kwargs):
        raise RuntimeError("computed")

    monkeypatch.setattr(LocalObjective, "call", refuse)
    model.make_predict_function(force=True)
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-5)
    np.testing.assert_allclose(
        model.goodness(x).sum(axis=1), expected, rtol=1e-4, atol=1e-5
    )
    early = model.predict_early_exit(x, 1.0).predictions
    np.testing.assert_allclose(early, expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(RuntimeError, match="computed"):
        model.evaluate(x, y, verbose=0)


@once
def test_exported_files_have_no_objectives(tmp_path):
    model = conv_model()
    x, _ = data(4, SHAPE)
    expected = model.predict(x, verbose=0)
    numbers = [v for v in model.variables if tuple(v.shape) == (16, 11)]
    assert len(numbers) == 1
    before = state(model)
    if BACKEND == "torch":
        torch = pytest.importorskip("torch")
        path = tmp_path / "model.pt2"
        signature = [keras.InputSpec(shape=x.shape)]
        model.export(
            path, format="torch", verbose=False, input_signature=signature
        )
        program = torch.export.load(path)
        shapes = [tuple(v.shape) for v in program.state_dict.values()]
        outputs = program.module()(torch.as_tensor(x)).detach().numpy()
    else:
        tf = pytest.importorskip("tensorflow")
        path = tmp_path / "model"
        model.export(path, verbose=False)
        names = tf.train.list_variables(str(path / "variables/variables"))
        shapes = [tuple(shape) for _, shape in names]
        served = tf.saved_model.load(str(path))
        outputs = served.serve(tf.constant(x)).numpy()
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)
    assert (3, 3, 2, 4) in shapes
    assert (16, 11) not in shapes
    # Similarity matching's and the second layer's own kernel.
    assert 1 <= shapes.count((3, 3, 4, 4)) <= 2
    assert_same(state(model), before)
    assert len(model.local_layers[0].objectives) == 2


@once
@pytest.mark.filterwarnings("ignore:Layers .* share parts")
@pytest.mark.parametrize("kind", ["part", "head", "twice"])
def test_shared_parts_are_exported(kind):
    tied = keras.layers.Dense(5, "tanh")
    head = layers.GoodnessProjection(CLASSES)

    def block(name):
        parts = [tied, keras.layers.ReLU(), tied]
        return layers.LocalBlock(
            {"part": tied, "head": keras.layers.Dense(5), "twice": parts}[kind],
            head if kind == "head" else layers.GoodnessProjection(CLASSES),
            objectives=[SupervisedContrast(units=4)],
            name=name,
        )

    model = ForwardOnlyModel([keras.Input((5,)), block("one"), block("two")])
    x, _ = data(6)
    copy = without_objectives(model)
    assert not any(layer.objectives for layer in copy.local_layers)
    assert_same([copy.predict(x, verbose=0)], [model.predict(x, verbose=0)])


@once
@pytest.mark.filterwarnings("ignore:Layer InputLayer:UserWarning")
def test_a_quantized_copy():
    model = dense_model([contrast(), SimilarityMatching()])
    model.quantize("int8")
    x, _ = data(6)
    copy = model.truncate()
    assert_same([copy.predict(x, verbose=0)], [model.predict(x, verbose=0)])
    assert_same(
        [numpy(v) for v in copy.local_layers[1].variables],
        [numpy(v) for v in model.local_layers[1].variables],
    )


# === Bad input ===


@pytest.mark.parametrize(
    "objectives, error, message",
    [
        ("contrast", TypeError, r"SupervisedContrast\(\).*'contrast'"),
        ([SupervisedContrast], TypeError, "of type type"),
        ([keras.layers.Dense(3)], TypeError, "of type Dense"),
    ],
)
def test_what_is_no_objective(objectives, error, message):
    with pytest.raises(error, match=message):
        dense_block("local", objectives=objectives)


def test_an_objective_twice():
    objective = SimilarityMatching(name="mine")
    with pytest.raises(ValueError, match="'mine' twice"):
        dense_block("local", objectives=[objective, objective])


def test_candidates_have_no_classes():
    with pytest.raises(ValueError, match="FFDense has no `objectives`"):
        layers.FFDense(4, objectives=[SupervisedContrast()])


@pytest.mark.parametrize("pooling", ["average", 1])
def test_an_average_of_a_centered_map(pooling):
    layer = layers.CAWConv2D(
        4, 3, 2, objectives=[SupervisedContrast(pooling=pooling)], name="local"
    )
    with pytest.raises(ValueError, match=r"'local'.*pooling=4"):
        layer(keras.Input((6, 6, 1)))


@once
def test_an_objective_that_is_not_finite():
    class Broken(LocalObjective):
        def sample_losses(self, projection, labels, present):
            return projection[:, 0] * float("nan")

    model = dense_model([Broken(name="broken")])
    model.compile(keras.optimizers.SGD(RATE))
    before = state(model)
    message = r"penalty of local layer 'local_1'.*Broken \('broken'\)"
    with pytest.raises(ValueError, match=message):
        model.fit(*data(12), verbose=0)
    assert_same(
        [numpy(v) for v in model.trainable_variables],
        [a for a, v in zip(before, model.variables) if v.trainable],
    )
