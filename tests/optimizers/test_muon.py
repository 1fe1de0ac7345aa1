import keras
import numpy as np
import pytest
from keras import ops
from reference.arrays import normal
from reference.arrays import numpy

from keras_ff import layers
from keras_ff import models
from keras_ff import optimizers


def variable(shape, seed, name="kernel"):
    return keras.Variable(normal(shape, seed), name=name)


def test_newton_schulz_nears_the_polar_factor():
    # With the classic coefficients it converges; X = U V^T.
    optimizer = optimizers.Muon(
        muon_a=1.875, muon_b=-1.25, muon_c=0.375, ns_steps=30
    )
    for shape in ((3, 3, 4, 5), (2, 2, 2, 30), (7, 4)):
        kernel = normal(shape, 1)
        u, _, v = np.linalg.svd(
            kernel.reshape(-1, shape[-1]).astype("float64"),
            full_matrices=False,
        )
        found = optimizer.zeropower_via_newtonschulz5(
            ops.convert_to_tensor(kernel), optimizer.ns_steps
        )
        np.testing.assert_allclose(
            numpy(found), (u @ v).reshape(shape), atol=2e-5
        )


def reference(kernel, gradients, rate, momentum, steps, normalize):
    """The formula of fast training, in float64."""
    w, b = kernel.astype("float64"), 0.0
    for gradient in gradients:
        b = momentum * b + gradient
        u = (gradient + momentum * b).reshape(-1, w.shape[-1])
        x = u / np.linalg.norm(u)
        wide = x.shape[0] <= x.shape[1]
        x = x if wide else x.T
        for _ in range(steps):
            a = x @ x.T
            x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
        x = x if wide else x.T
        if normalize:
            w = w * np.sqrt(w.shape[-1]) / np.linalg.norm(w)
        w = w - rate * x.reshape(w.shape)
    return w


@pytest.mark.parametrize("normalize", [False, True])
def test_convolution_follows_the_formula(normalize):
    kernel = variable((3, 3, 4, 6), 1)
    gradients = [normal((3, 3, 4, 6), seed) for seed in (2, 3)]
    expected = reference(numpy(kernel), gradients, 0.1, 0.6, 3, normalize)
    optimizer = optimizers.Muon(
        0.1,
        momentum=0.6,
        ns_steps=3,
        rms_rate=None,
        normalize_weights=normalize,
        weight_decay=None,
    )
    for gradient in gradients:
        optimizer.apply([ops.convert_to_tensor(gradient)], [kernel])
    np.testing.assert_allclose(numpy(kernel), expected, atol=1e-5)


def test_as_in_keras_on_matrices_and_biases():
    results = []
    for make in (keras.optimizers.Muon, optimizers.Muon):
        variables = [variable((6, 4), 1), variable((4,), 2, "bias")]
        optimizer = make(0.02, weight_decay=0.1, adam_weight_decay=0.2)
        for seed in (3, 4):
            optimizer.apply(
                [
                    ops.convert_to_tensor(normal(v.shape, seed))
                    for v in variables
                ],
                variables,
            )
        results.append([numpy(v) for v in variables])
    for expected, found in zip(*results):
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def network():
    inputs = keras.Input((8, 8, 3))
    block = layers.LocalBlock(
        [
            keras.layers.Conv2D(6, 3, use_bias=False),
            keras.layers.BatchNormalization(),
        ],
        layers.AuxiliaryHead(
            keras.layers.Conv2D(5, 1),
            layers.HypersphericalPrototypes(3),
            scale=8.0,
        ),
    )
    x, first = block(inputs)
    x, second = layers.LocalBlock(
        keras.layers.DepthwiseConv2D(3), layers.GoodnessProjection(3)
    )(x)
    _, third = layers.CAWConv2D(6, 3, num_classes=3)(x)
    return models.ForwardOnlyModel(inputs, [first, second, third])


def test_only_kernels_are_orthogonalized():
    model = network()
    optimizer = optimizers.Muon()
    chosen = [
        v.path
        for v in model.trainable_variables
        if not optimizer._should_use_adamw(v)
    ]
    # Two convolutions and the auxiliary one; not the depthwise kernel, whose
    # matrix has one column, nor the projection.
    assert len(chosen) == 3
    assert all("conv2d" in path for path in chosen)
    assert not any("depthwise" in path for path in chosen)
    excluding = optimizers.Muon(exclude="caw_conv2d")
    chosen = [
        v.path
        for v in model.trainable_variables
        if not excluding._should_use_adamw(v)
    ]
    assert not any("caw_conv2d" in path for path in chosen)
    assert any(path.endswith("projection/kernel") for path in chosen)


X = normal((24, 8, 8, 3), 5)
Y = np.arange(24) % 3


@pytest.mark.parametrize(
    "dtype, options",
    [
        ("float32", dict(use_ema=True, weight_decay=0.1)),
        pytest.param(
            "mixed_bfloat16",
            dict(gradient_accumulation_steps=2),
            marks=pytest.mark.only_on("torch"),
        ),
    ],
)
def test_trains_and_is_loaded(dtype, options, tmp_path):
    keras.config.set_dtype_policy(dtype)
    model = network()
    model.compile(optimizers.Muon(0.02, normalize_weights=True, **options))
    losses = model.fit(X, Y, batch_size=12, epochs=4, verbose=0)
    assert losses.history["loss"][-1] < losses.history["loss"][0]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.optimizer.get_config() == model.optimizer.get_config()
    for a, b in zip(model.optimizer.variables, loaded.optimizer.variables):
        np.testing.assert_array_equal(numpy(a), numpy(b))


@pytest.mark.only_on("torch")
@pytest.mark.eager
def test_one_of_several_optimizers():
    model = network()
    first = model.local_layers[0].trainable_variables
    several = keras.optimizers.OptimizerMap(keras.optimizers.SGD(0.01))
    several[rf"{model.local_layers[0].name}/.*"] = optimizers.Muon(0.02)
    model.compile(keras.optimizers.MultiOptimizer(several))
    before = numpy(first[0])
    model.fit(X, Y, batch_size=24, verbose=0)
    # A step of Muon moves in every direction alike.
    step = (numpy(first[0]) - before).reshape(-1, 6)
    sizes = np.linalg.svd(step, compute_uv=False)
    assert sizes.min() > 0.4 * sizes.max()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(momentum=1.0), "momentum=1.0"),
        (dict(ns_steps=0), "ns_steps=0"),
        (dict(ns_steps=2.5), "ns_steps=2.5"),
        (dict(rms_rate=-1), "rms_rate=-1"),
        (dict(rms_rate=0.0), "rms_rate=0.0"),
        (dict(adam_lr_ratio=-1), "adam_lr_ratio=-1"),
        (dict(weight_decay=-0.1), "weight_decay=-0.1"),
        (dict(adam_weight_decay=-0.1), "adam_weight_decay=-0.1"),
        (dict(normalize_weights="False"), "normalize_weights='False'"),
        (dict(exclude=None), "exclude=None"),
        (dict(exclude=["("]), "unterminated subpattern"),
        (dict(exclude=[3]), "first argument must be string"),
        (dict(exclude_layers=["a"]), "takes `exclude`"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        optimizers.Muon(**arguments)


@pytest.mark.only_on("torch")
@pytest.mark.eager
def test_model_without_matrices():
    with pytest.raises(ValueError, match="at least two rows"):
        optimizers.Muon().build([variable((4,), 1, "bias")])
