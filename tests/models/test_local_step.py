"""The local step equals one gradient of the summed local losses."""

import keras
import numpy as np
import pytest
from by_hand import ByHand
from by_hand import chain
from tiny_models import CLASSES
from tiny_models import assert_close
from tiny_models import assert_same
from tiny_models import caw_dense
from tiny_models import copy_state
from tiny_models import data
from tiny_models import dense_block
from tiny_models import dense_model
from tiny_models import numpy
from tiny_models import optimizer_state
from tiny_models import restore
from tiny_models import rich_model
from tiny_models import state
from tiny_models import twin

from keras_ff import layers
from keras_ff.models import ForwardOnlyModel

STEPS = 3
RATE = 0.1
# Round-off of the policy's numbers, relative to the largest gradient.
PRECISION = {
    "float32": 2.0**-20,
    "mixed_bfloat16": 2.0**-7,
    "mixed_float16": 2.0**-10,
}


def conv_model():
    """Convolutions, a pooling between them, batch statistics and dropout."""
    noise = keras.initializers.RandomNormal(0.5, 0.5, seed=5)
    return ForwardOnlyModel(
        [
            keras.Input((6, 6, 2)),
            layers.CAWConv2D(
                4,
                3,
                CLASSES,
                padding="same",
                dropout=0.3,
                temperature=2.0,
                assignment_initializer=noise,
                name="local_0",
            ),
            keras.layers.AveragePooling2D(2, name="pool"),
            layers.LocalBlock(
                [
                    keras.layers.Conv2D(
                        4, 3, use_bias=False, kernel_regularizer="l2"
                    ),
                    keras.layers.BatchNormalization(),
                    keras.layers.ReLU(),
                ],
                layers.GoodnessProjection(CLASSES),
                name="local_1",
            ),
        ]
    )


CASES = {
    "dropout": lambda: ForwardOnlyModel(
        [
            keras.Input((5,)),
            dense_block("local_0", dropout=0.4, normalization="layer"),
            dense_block("local_1", dropout=0.2),
        ]
    ),
    "assignment_with_regularizers": lambda: ForwardOnlyModel(
        [
            keras.Input((5,)),
            caw_dense("local_0"),
            caw_dense("local_1"),
        ]
    ),
    "batch_normalization_in_a_local_block": rich_model,
    "convolutions": conv_model,
}
POLICIES = [("float32", name) for name in CASES] + [
    pytest.param(
        *("mixed_bfloat16", "batch_normalization_in_a_local_block"),
        marks=pytest.mark.only_on("torch"),
    ),
    ("mixed_float16", "batch_normalization_in_a_local_block"),
]


def by_hand(model, **kwargs):
    names = [
        layer.name
        for layer in model.layers
        if layer.name.startswith(("local", "pool"))
    ]
    return ByHand(model, chain(*names), **kwargs)


def batches(model, steps=STEPS):
    shape = model.input_shape[1:]
    return [data(8, shape, seed=10 + i) for i in range(steps)]


def train_on_batch(model, hand_step, x, y, seed):
    """A step of the model and one by hand with the same dropout masks."""
    # PyTorch's dropout draws from its global generator.
    keras.utils.set_random_seed(seed)
    model.reset_metrics()
    logs = model.train_on_batch(x, y, return_dict=True)
    keras.utils.set_random_seed(seed)
    return logs, hand_step(x, y)


def assert_same_steps(model, reference, start, policy="float32"):
    """All numbers changed alike, up to round-off of the change."""
    for variable, expected, old in zip(
        model.variables, reference.variables, start
    ):
        actual, expected = numpy(variable), numpy(expected)
        if actual.dtype.kind in "iu":
            # The state of random generators.
            np.testing.assert_array_equal(actual, expected)
            continue
        change = np.abs(expected - old).max()
        if variable.trainable:
            assert change > 1e-5, variable.path
        np.testing.assert_allclose(
            actual,
            expected,
            rtol=1e-6,
            atol=8 * PRECISION[policy] * change,
            err_msg=variable.path,
        )


@pytest.mark.parametrize("policy, case", POLICIES)
def test_local_step_is_one_gradient_of_the_summed_losses(policy, case):
    keras.config.set_dtype_policy(policy)
    model = CASES[case]()
    model.compile(optimizer=keras.optimizers.SGD(RATE))
    hand_model = twin(model)
    loss_scale = 1.0
    if policy == "mixed_float16":
        loss_scale = model.optimizer.initial_scale
    hand = by_hand(hand_model, loss_scale=loss_scale)
    start = state(model)

    def hand_step(x, y):
        return hand.sgd([RATE] * len(hand.variables), x, y)

    for i, (x, y) in enumerate(batches(model)):
        logs, losses = train_on_batch(model, hand_step, x, y, seed=i)
        np.testing.assert_allclose(
            logs["loss"], losses.sum(), rtol=4 * PRECISION[policy]
        )
        assert_same_steps(model, hand_model, start, policy)


# JAX has no float64 unless it is switched on for the whole process.
@pytest.mark.only_on("tensorflow", "torch")
def test_float64_trains_as_float32_does():
    x, y = data(8)
    results, start = [], None
    for dtype in ("float32", "float64"):
        keras.config.set_floatx(dtype)
        keras.config.set_dtype_policy(dtype)
        keras.utils.set_random_seed(3)
        model = dense_model(layer_clipnorm=0.1, layer_metrics=True)
        model.compile(optimizer=keras.optimizers.SGD(RATE))
        if start is not None:
            restore(model, start)
        start = state(model)
        logs = model.train_on_batch(x.astype(dtype), y, return_dict=True)
        kernel = model.trainable_variables[0]
        assert keras.backend.standardize_dtype(kernel.dtype) == dtype
        results.append((state(model), logs["loss"]))
    assert np.abs(results[1][0][0] - start[0]).max() > 1e-4
    assert_close(*[weights for weights, _ in results], rtol=1e-5, atol=1e-5)
    assert results[0][1] == pytest.approx(results[1][1], rel=1e-5)
    model.evaluate(x, y, verbose=0)
    # What it predicts is as exact as what it is made of.
    x = x.astype(dtype)
    weights = model.contribution.weights
    expected = np.einsum("l,blk->bk", weights, model.goodness(x))
    assert expected.dtype == model.output.dtype == "float64"
    for predicted in (
        model.predict(x, verbose=0),
        model.predict_on_batch(x),
        keras.models.clone_model(model).predict(x, verbose=0),
        model.truncate().predict(x, verbose=0),
    ):
        assert predicted.dtype == "float64"
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, 1e-12)


def test_local_step_with_one_optimizer_a_layer():
    model = rich_model()
    optimizers = keras.optimizers.OptimizerMap(keras.optimizers.SGD(0.3))
    optimizers[r"local_1/.*"] = keras.optimizers.SGD(0.01)
    model.compile(optimizer=keras.optimizers.MultiOptimizer(optimizers))
    hand_model = twin(model)
    hand = by_hand(hand_model)
    rates = [
        0.01 if v.path.startswith("local_1/") else 0.3 for v in hand.variables
    ]
    assert set(rates) == {0.01, 0.3}
    start = state(model)
    for i, (x, y) in enumerate(batches(model)):
        train_on_batch(model, lambda x, y: hand.sgd(rates, x, y), x, y, i)
        assert_same_steps(model, hand_model, start)


def test_local_step_updates_the_optimizer_once():
    # AdamW would see its bias correction advance once a layer otherwise.
    model = rich_model()
    model.compile(optimizer=keras.optimizers.AdamW(0.05))
    hand_model = twin(model)
    hand = by_hand(hand_model)
    optimizer = keras.optimizers.AdamW(0.05)
    optimizer.build(hand.variables)

    def hand_step(x, y):
        _, gradients = hand.gradients(x, y)
        gradients = [keras.ops.convert_to_tensor(g) for g in gradients]
        optimizer.apply(gradients, hand.variables)

    for i, (x, y) in enumerate(batches(model)):
        train_on_batch(model, hand_step, x, y, seed=i)
    assert int(model.optimizer.iterations) == STEPS
    # Adam divides by the gradient's size: round-off counts for more.
    assert_close(state(model), state(hand_model), rtol=1e-3, atol=1e-4)
    assert_close(
        optimizer_state(model),
        [numpy(v) for v in optimizer.variables],
        rtol=1e-3,
        atol=1e-5,
    )


@pytest.mark.parametrize("only", [0, 1, 2])
def test_a_layers_loss_has_no_gradient_outside_the_layer(only):
    model = ForwardOnlyModel(
        [
            keras.Input((5,)),
            dense_block("local_0", normalization="layer"),
            caw_dense("local_1"),
            dense_block("local_2"),
        ]
    )
    hand = by_hand(model, only=only)
    _, gradients = hand.gradients(*batches(model, 1)[0])
    for variable, gradient in zip(hand.variables, gradients):
        if variable.path.startswith(f"local_{only}/"):
            assert np.abs(gradient).max() > 0, variable.path
        else:
            np.testing.assert_array_equal(gradient, 0)


@keras.saving.register_keras_serializable(package="keras_ff_tests")
class ScaledProjection(layers.GoodnessProjection):
    """Goodness times a number that can be changed between steps."""

    def build(self, input_shape):
        super().build(input_shape)
        self.scale = self.add_weight(
            shape=(), initializer="ones", trainable=False, name="scale"
        )

    def call(self, inputs):
        return self.scale * super().call(inputs)


@pytest.mark.parametrize("changed", [0, 1])
def test_changing_one_layers_loss_changes_no_other_layers_update(changed):
    model = ForwardOnlyModel(
        [
            keras.Input((5,)),
            *[
                layers.LocalBlock(
                    keras.layers.Dense(6, activation="relu"),
                    ScaledProjection(CLASSES),
                    normalization="rms",
                    name=f"local_{i}",
                )
                for i in range(3)
            ],
        ]
    )
    model.compile(optimizer=keras.optimizers.SGD(RATE))
    x, y = batches(model, 1)[0]
    start = twin(model)
    model.train_on_batch(x, y)
    usual = [numpy(v) for v in model.trainable_variables]
    copy_state(start, model)
    model.local_layers[changed].head.scale.assign(3.0)
    model.train_on_batch(x, y)
    for variable, expected in zip(model.trainable_variables, usual):
        if variable.path.startswith(f"local_{changed}/"):
            assert np.abs(numpy(variable) - expected).max() > 1e-3
        else:
            np.testing.assert_array_equal(numpy(variable), expected)


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_layer_clipnorm_clips_each_layers_gradient(policy):
    keras.config.set_dtype_policy(policy)
    x, y = data(8)
    # The first layer has a large gradient, the second a small one.
    model = dense_model()
    factors = {"local_0": 3.0, "local_1": 0.3}
    for layer in model.local_layers:
        kernel = layer.head.projection.kernel
        kernel.assign(numpy(kernel) * factors[layer.name])
    loss_scale = 2.0**8 if policy == "mixed_float16" else 1.0
    _, gradients = by_hand(model, loss_scale=loss_scale).gradients(x, y)

    def norm_of(name):
        squares = [
            np.sum(np.square(g, dtype="float64"))
            for v, g in zip(model.trainable_variables, gradients)
            if v.path.startswith(f"{name}/")
        ]
        return np.sqrt(sum(squares))

    norms = {layer.name: norm_of(layer.name) for layer in model.local_layers}
    assert norms["local_0"] > 1.5 * norms["local_1"]
    limit = np.sqrt(norms["local_0"] * norms["local_1"])
    clipped = dense_model(layer_clipnorm=limit)
    copy_state(model, clipped)
    optimizer = keras.optimizers.SGD(RATE)
    if policy == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(
            optimizer, initial_scale=loss_scale
        )
    clipped.compile(optimizer=optimizer)
    clipped.train_on_batch(x, y)
    for before, gradient, after in zip(
        model.trainable_variables, gradients, clipped.trainable_variables
    ):
        name = before.path.split("/")[0]
        expected = gradient * min(1.0, limit / norms[name])
        np.testing.assert_allclose(
            numpy(before) - numpy(after),
            RATE * expected,
            rtol=0,
            atol=4 * PRECISION[policy] * RATE * limit + 1e-7,
        )


def test_without_layer_clipnorm_large_gradients_pass_whole():
    model = dense_model()
    assert model.get_layer("readout").layer_clipnorm is None
    kernel = model.local_layers[0].head.projection.kernel
    kernel.assign(numpy(kernel) * 1e3)
    x, y = data(8)
    _, gradients = by_hand(model).gradients(x, y)
    before = [numpy(v) for v in model.trainable_variables]
    model.compile(optimizer=keras.optimizers.SGD(1.0))
    model.train_on_batch(x, y)
    assert max(np.abs(g).max() for g in gradients) > 10
    assert_close(
        [a - numpy(v) for a, v in zip(before, model.trainable_variables)],
        gradients,
        rtol=1e-4,
        atol=1e-4,
    )


def test_same_seed_gives_the_same_training():
    runs = []
    for _ in range(2):
        keras.utils.clear_session(free_memory=False)
        keras.utils.set_random_seed(3)
        model = rich_model()
        model.compile(optimizer="adam")
        model.fit(*data(), batch_size=8, epochs=2, verbose=0)
        runs.append(state(model))
    assert_same(*runs)
