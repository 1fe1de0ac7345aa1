import keras
import numpy as np
import pytest
from keras import ops
from reference import numpy_reference as ref
from reference.arrays import normal
from reference.arrays import numpy
from reference.backend import gradients

from keras_ff import layers

X = normal((4, 5), 3)


def test_layers_then_head_then_normalization():
    first = keras.layers.Dense(6, activation="relu")
    second = keras.layers.Dense(6, activation="tanh")
    head = layers.GoodnessProjection(3)
    block = layers.LocalBlock([first, second], head, normalization="layer")
    features, goodness = block(X)
    y = ref.relu(X @ numpy(first.kernel) + numpy(first.bias))
    y = np.tanh(y @ numpy(second.kernel) + numpy(second.bias))
    np.testing.assert_allclose(numpy(features), ref.layer_norm(y), atol=1e-5)
    np.testing.assert_allclose(
        numpy(goodness), y @ numpy(head.projection.kernel), atol=2e-6
    )


def test_backpropagation_runs_inside_the_block():
    first = keras.layers.Dense(6, activation="tanh")
    second = keras.layers.Dense(6, activation="tanh")
    head = layers.GoodnessProjection(3)
    block = layers.LocalBlock([first, second], head)
    block.build((None, 5))
    weights = [numpy(v) for v in block.trainable_variables]
    probe = normal((4, 3), 5)

    def objective():
        return ops.sum(ops.multiply(block(X)[1], probe))

    def reference(index):
        def value(array):
            w = [*weights[:index], array, *weights[index + 1 :]]
            y = np.tanh(np.tanh(X @ w[0] + w[1]) @ w[2] + w[3])
            return (y @ w[4] * probe).sum()

        return ref.numeric_gradient(value, weights[index])

    found = gradients(objective, block.trainable_variables)
    for index, gradient in enumerate(found):
        np.testing.assert_allclose(
            gradient, reference(index), atol=2e-6, rtol=1e-5
        )


def test_a_single_layer_need_not_be_a_list():
    dense = keras.layers.Dense(6)
    block = layers.LocalBlock(dense, layers.ChannelGroups(3))
    features, goodness = block(X)
    y = X @ numpy(dense.kernel) + numpy(dense.bias)
    np.testing.assert_allclose(numpy(features), y, atol=2e-6)
    np.testing.assert_allclose(numpy(goodness), ref.group_mean(y, 3), atol=2e-6)


def test_a_whole_model_as_the_layer(tmp_path):
    inner = keras.Sequential(
        [keras.layers.Dense(6, activation="relu"), keras.layers.Dense(6)]
    )
    inputs = keras.Input((5,))
    block = layers.LocalBlock(inner, layers.ChannelGroups(3))
    model = keras.Model(inputs, block(inputs))
    assert len(block.trainable_variables) == 4
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for a, b in zip(model(X), loaded(X)):
        np.testing.assert_allclose(numpy(a), numpy(b), rtol=1e-6)


def test_a_block_of_two_inputs():
    block = layers.LocalBlock(
        [keras.layers.Concatenate(), keras.layers.Dense(6)],
        layers.ChannelGroups(3),
    )
    inputs = [keras.Input((5,)), keras.Input((2,))]
    model = keras.Model(inputs, block(inputs))
    a, b = X, normal((4, 2), 4)
    features, _ = model([a, b])
    dense = block.layers[1]
    expected = np.concatenate([a, b], 1) @ numpy(dense.kernel)
    np.testing.assert_allclose(numpy(features), expected, atol=2e-6)
    variables = [keras.Variable(a), keras.Variable(b)]

    def objective():
        return ops.sum(block([ops.convert_to_tensor(v) for v in variables])[1])

    for gradient in gradients(objective, variables):
        np.testing.assert_array_equal(gradient, 0)


def test_a_keras_layer_as_normalization(tmp_path):
    norm = keras.layers.BatchNormalization(
        center=False, scale=False, momentum=0.5
    )
    dense = keras.layers.Dense(6)
    block = layers.LocalBlock(dense, layers.ChannelGroups(3), norm)
    inputs = keras.Input((5,))
    model = keras.Model(inputs, block(inputs))
    assert len(block.trainable_variables) == 2
    features, _ = model(X, training=True)
    y = X @ numpy(dense.kernel)
    expected = (y - y.mean(0)) / np.sqrt(y.var(0) + 1e-3)
    np.testing.assert_allclose(numpy(features), expected, atol=1e-4)
    np.testing.assert_allclose(
        numpy(norm.moving_mean), 0.5 * y.mean(0), atol=1e-6
    )
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for a, b in zip(model(X), loaded(X)):
        np.testing.assert_allclose(numpy(a), numpy(b), rtol=1e-6)


def test_a_last_layer_of_another_dtype():
    """The symbolic dtype is what comes out."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    block = layers.LocalBlock(
        keras.layers.Dense(6, dtype="float32"), layers.ChannelGroups(3)
    )
    symbolic, _ = block(keras.Input((5,)))
    features, _ = block(X)
    assert symbolic.dtype == keras.backend.standardize_dtype(features.dtype)


def test_no_layers():
    with pytest.raises(ValueError, match=r"at least one.*layers=\[\]"):
        layers.LocalBlock([], layers.ChannelGroups(3))


def test_what_is_not_a_layer():
    head = layers.ChannelGroups(3)
    with pytest.raises(TypeError, match="'relu' of type str"):
        layers.LocalBlock([keras.layers.Dense(6), "relu"], head)
    with pytest.raises(TypeError, match="must be Keras layers.*function"):
        layers.LocalBlock([ops.relu], head)
    with pytest.raises(TypeError, match="Received: 3 of type int"):
        layers.LocalBlock([keras.layers.Dense(6)], 3)
    with pytest.raises(TypeError, match="Received: None of type NoneType"):
        layers.LocalBlock(None, head)
    with pytest.raises(TypeError, match="Received: <class .*Dense'>"):
        layers.LocalBlock(keras.layers.Dense, head)


def test_trainable_normalization():
    block = layers.LocalBlock(
        keras.layers.Dense(6),
        layers.ChannelGroups(3),
        normalization=keras.layers.LayerNormalization(),
        name="mine",
    )
    with pytest.raises(ValueError, match="'mine' has trainable weights"):
        block.build((None, 5))


def test_a_name_is_no_normalization_of_a_local_layer():
    layer = layers.LocalLayer(name="mine")
    layer.layers = [keras.layers.Dense(6)]
    layer.head = layers.ChannelGroups(3)
    layer.normalization = "layer"
    with pytest.raises(TypeError, match="'mine' must be a Keras layer"):
        layer.build((None, 5))


def test_unknown_normalization():
    with pytest.raises(ValueError, match="normalization='batch'"):
        layers.LocalBlock(
            keras.layers.Dense(6), layers.ChannelGroups(3), "batch"
        )


def test_group_normalization_needs_num_classes():
    head = keras.layers.Dense(3)
    with pytest.raises(ValueError, match="num_classes"):
        layers.LocalBlock(keras.layers.Dense(6), head, "group")
    block = layers.LocalBlock(keras.layers.Dense(6), head, "layer")
    features, goodness = block(X)
    y = X @ numpy(block.layers[0].kernel)
    np.testing.assert_allclose(
        numpy(goodness), y @ numpy(head.kernel), atol=2e-6
    )
    np.testing.assert_allclose(numpy(features), ref.layer_norm(y), atol=2e-5)


def test_a_subclass_of_local_layer():
    """The example of the base class."""

    class LocalDense(layers.LocalLayer):
        def __init__(self, units, num_classes, **kwargs):
            super().__init__(**kwargs)
            self.layers = [keras.layers.Dense(units, activation="relu")]
            self.head = layers.GoodnessProjection(num_classes)

    layer = LocalDense(6, 3)
    features, goodness = layer(X)
    y = ref.relu(X @ numpy(layer.layers[0].kernel))
    np.testing.assert_allclose(numpy(features), y, atol=2e-6)
    np.testing.assert_allclose(
        numpy(goodness),
        y @ numpy(layer.head.projection.kernel),
        atol=2e-6,
    )
    x = keras.Variable(X)
    (gradient,) = gradients(
        lambda: ops.sum(layer(ops.convert_to_tensor(x))[1]), [x]
    )
    np.testing.assert_array_equal(gradient, 0)


class Scores(layers.GoodnessHead):
    """A head of one's own, which promises three columns."""

    def __init__(self, function, num_classes=3):
        super().__init__(num_classes, name="mine")
        self.function = function

    def call(self, activation):
        return self.function(activation)


def mean(activation):
    return ops.mean(activation, axis=(1, 2))


@pytest.mark.parametrize(
    "head, received",
    [
        (
            Scores(mean),
            r"=3\).*shape \(None, 20\) from Scores 'mine'",
        ),
        (Scores(lambda a: mean(a)[:, :2]), r"scores of shape \(None, 2\)"),
        (
            Scores(lambda a: a[..., :3]),
            r"\(None, 6, 6, 3\).*activation of shape \(None, 6, 6, 20\).*mean",
        ),
        (Scores(lambda a: mean(a)[:, 0]), r"scores of shape \(None,\)"),
        (keras.layers.Dense(3), r"columns\).*\(None, 6, 6, 3\).*segmentation"),
    ],
    ids=["more", "fewer", "map", "none", "keras"],
)
def test_heads_of_another_shape(head, received):
    block = layers.LocalBlock(keras.layers.Conv2D(20, 3), head, name="block")
    with pytest.raises(ValueError, match=f"'block' must give.*{received}"):
        block(keras.Input((8, 8, 1)))


def test_the_head_of_a_head_of_another_shape():
    head = layers.AuxiliaryHead(
        keras.layers.Conv2D(5, 3), Scores(mean), name="looking"
    )
    block = layers.LocalBlock(keras.layers.Conv2D(20, 3), head)
    with pytest.raises(ValueError, match=r"'looking' .*\(None, 5\) from Score"):
        block(keras.Input((8, 8, 1)))


@pytest.mark.parametrize("policy", ("float32", "mixed_bfloat16"))
def test_a_head_of_ones_own(policy):
    keras.config.set_dtype_policy(policy)
    head = Scores(lambda a: mean(a)[:, :3])
    block = layers.LocalBlock(keras.layers.Conv2D(20, 3), head)
    _, goodness = block(np.ones((2, 8, 8, 1)))
    assert tuple(goodness.shape) == (2, 3)
