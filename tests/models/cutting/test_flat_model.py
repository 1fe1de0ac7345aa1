import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy as numpy

from keras_ff.models import cut_plan
from keras_ff.models import load_model
from keras_ff.models import localize
from keras_ff.models.cutting.cut_points import cut_points
from keras_ff.models.cutting.flat_model import flat_model
from keras_ff.models.cutting.layer_chain import layer_chain

pytestmark = pytest.mark.eager
layers = keras.layers
SHAPE = (8, 8, 3)


def backbone(name="backbone"):
    x = inputs = keras.Input(SHAPE)
    for i in range(3):
        x = layers.Conv2D(4, 3, padding="same", name=f"conv{i}")(x)
        x = layers.BatchNormalization(name=f"norm{i}")(x)
        x = layers.ReLU(name=f"relu{i}")(x)
    return keras.Model(inputs, x, name=name)


def functional(inner=backbone):
    inputs = keras.Input(SHAPE)
    x = layers.Rescaling(1 / 255, name="rescaling")(inputs)
    x = inner()(x, training=False)
    x = layers.Conv2D(5, 3, name="top")(x)
    return keras.Model(inputs, x)


def sequential():
    return keras.Sequential(
        [
            keras.Input(SHAPE),
            layers.Rescaling(1 / 255, name="rescaling"),
            keras.Sequential([keras.Input(SHAPE), backbone()]),
            layers.Conv2D(5, 3, name="top"),
        ]
    )


NAMES = ["rescaling"]
NAMES += [f"{kind}{i}" for i in range(3) for kind in ("conv", "norm", "relu")]
NAMES += ["top"]


def features_of(model, x):
    for layer in model.local_layers:
        x, _ = layer(x)
    return keras.ops.convert_to_numpy(x)


@pytest.mark.parametrize("make", [functional, sequential])
def test_nested_models_are_looked_into(make, tmp_path):
    original = make()
    graph = flat_model(original).graph
    assert [layer.name for layer in graph.layers[1:]] == NAMES
    model = localize(original, 3, cut=4)
    assert [x.layers[0].layers[-1].name for x in model.local_layers] == [
        *("relu0", "relu1", "relu2", "top")
    ]
    x = np.random.default_rng(0).uniform(0, 255, (2, *SHAPE)).astype("float32")
    expected = keras.ops.convert_to_numpy(original(x))
    np.testing.assert_allclose(
        features_of(model, x), expected, rtol=1e-5, atol=1e-6
    )
    # The weights are those of the given model.
    shared = {id(v) for v in original.trainable_variables}
    assert shared <= {id(v) for v in model.trainable_variables}
    model.save(tmp_path / "model.keras")
    np.testing.assert_allclose(
        load_model(tmp_path / "model.keras").predict(x, verbose=0),
        model.predict(x, verbose=0),
        rtol=1e-5,
    )


@pytest.mark.only_on("torch")
def test_the_name_of_a_nested_model_is_its_end():
    model = localize(functional(), 3, cut=["backbone"])
    first, second = model.local_layers
    assert first.layers[0].layers[-1].name == "relu2"
    assert second.layers[0].layers[-1].name == "top"
    # So is a name inside of it.
    assert len(localize(functional(), 3, cut=["norm1"]).local_layers) == 2


@pytest.mark.only_on("torch")
def test_frozen_nested_models_stay_frozen():
    original = functional()
    original.get_layer("backbone").trainable = False
    model = localize(original, 3, cut=["backbone"])
    first, second = model.local_layers
    assert len(first.layers[0].trainable_variables) == 0
    assert len(second.layers[0].trainable_variables) == 2


@pytest.mark.only_on("torch")
def test_models_that_cannot_be_looked_into_stay_whole():
    class Halved(keras.Model):
        def call(self, *args, **kwargs):
            return super().call(*args, **kwargs) / 2

    def halved():
        inner = backbone()
        return Halved(inner.input, inner.output, name="halved")

    graph = flat_model(functional(halved)).graph
    names = ["rescaling", "halved", "top"]
    assert [layer.name for layer in graph.layers[1:]] == names
    with pytest.raises(ValueError, match=r"stay whole: \['halved'\]"):
        localize(functional(halved), 3, cut=4)

    # Two that have the same names: the first is looked into.
    inputs = keras.Input(SHAPE)
    x = layers.Conv2D(3, 1, name="between")(backbone("one")(inputs))
    graph = flat_model(keras.Model(inputs, backbone("two")(x))).graph
    assert [layer.name for layer in graph.layers[1:]] == [
        *NAMES[1:-1],
        *("between", "two"),
    ]


def text_model():
    """An embedding in a model of its own, recurrent layers, attention."""
    embedding = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            layers.Embedding(9, 4, mask_zero=True, name="embedding"),
        ]
    )
    inputs = keras.Input((None,), dtype="int32")
    x = embedding(inputs)
    x = layers.LSTM(4, return_sequences=True, name="first")(x)
    y = layers.MultiHeadAttention(1, 4, name="attention")(x, x)
    x = layers.Add(name="sum")([x, y])
    x = layers.LayerNormalization(name="norm")(x)
    x = layers.LSTM(4, name="second")(x)
    return keras.Model(inputs, x)


@pytest.mark.only_on("torch")
def test_masks_are_no_borders(tmp_path):
    short = np.array([[3, 4, 5], [1, 2, 6], [6, 2, 7]])
    long = np.pad(short, ((0, 0), (0, 2)))
    original = text_model()
    model = localize(original, 3, cut=["first", "norm"])
    model.compile("sgd")
    assert list(cut_points(flat_model(original).graph)) == [
        *("embedding", "first", "sum", "norm")
    ]
    model.save(tmp_path / "model.keras")
    for each in (model, load_model(tmp_path / "model.keras")):
        goodness = each.goodness(short)
        np.testing.assert_allclose(each.goodness(long), goodness, atol=1e-6)
        np.testing.assert_allclose(
            features_of(each, long),
            original.predict(short, verbose=0),
            atol=1e-6,
        )
    model.fit(long, np.arange(3), verbose=0)


def transformer():
    """Every block sees which tokens are padding: an input of the model."""
    given = {
        "tokens": keras.Input((None,), dtype="int32", name="tokens"),
        "shown": keras.Input((None,), dtype="bool", name="shown"),
    }
    x = layers.Embedding(9, 4, name="embedding")(given["tokens"])
    for i in range(3):
        attention = layers.MultiHeadAttention(1, 4, name=f"attention{i}")
        y = attention(x, x, value_mask=given["shown"])
        x = layers.Add(name=f"sum{i}")([x, y])
        x = layers.LayerNormalization(name=f"norm{i}")(x)
    first = layers.Lambda(lambda x: x[:, 0], output_shape=(4,), name="first")
    return keras.Model(given, first(x), name="transformer")


@pytest.mark.only_on("torch")
@pytest.mark.parametrize("nested", [False, True])
def test_inputs_that_every_block_sees(nested, tmp_path):
    original = transformer()
    if nested:
        given = {
            name: keras.Input(x.shape[1:], dtype=x.dtype, name=name)
            for name, x in original.input.items()
        }
        original = keras.Model(given, original(given))
    points = cut_points(flat_model(original).graph)
    assert list(points)[:3] == ["embedding", "sum0", "norm0"]
    model = localize(original, 3, cut=3)
    tokens = np.array([[3, 4, 5], [1, 2, 6], [6, 2, 7]])
    short = {"tokens": tokens, "shown": np.ones_like(tokens, bool)}
    long = {name: np.pad(x, ((0, 0), (0, 2))) for name, x in short.items()}
    model.compile("sgd")
    model.fit(short, np.arange(3), verbose=0)
    model.save(tmp_path / "model.keras")
    expected = original.predict(short, verbose=0) @ numpy(
        model.local_layers[-1].head.projection.kernel
    )
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=False)
    for each in (model, loaded):
        for x in (short, long):
            goodness = each.goodness(x)
            np.testing.assert_allclose(goodness[:, -1], expected, atol=1e-5)
        early, _ = each.predict_early_exit(short, 1.0)
        np.testing.assert_allclose(
            early, each.goodness(short).sum(1), atol=1e-5
        )


@keras.saving.register_keras_serializable("keras_ff_tests")
class Block(layers.Layer):
    """Adds what two dense layers make of the input."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.norm = layers.LayerNormalization(name="norm")
        self.dense = layers.Dense(4, "relu", name="dense")

    def build(self, shape):
        self.norm.build(shape)
        self.dense.build(shape)

    def call(self, x):
        return x + self.dense(self.norm(x))


class Encoder(layers.Layer):
    """Blocks in one layer, as the encoders of keras-hub have them."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dropout = layers.Dropout(0.5, name="dropout")
        self.blocks = [Block(name=f"block{i}") for i in range(3)]
        self.norm = layers.LayerNormalization(name="encoder_norm")

    def build(self, shape):
        for layer in (self.dropout, *self.blocks, self.norm):
            layer.build(shape)

    def compute_output_shape(self, shape):
        return shape

    def call(self, x, training=None):
        x = self.dropout(x, training=training)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


class Doubles(Encoder):
    def call(self, x):
        return super().call(x) * 2


class HasAWeight(Encoder):
    def build(self, shape):
        super().build(shape)
        self.scale = self.add_weight(name="scale")


class LeavesABlockOut(Encoder):
    def call(self, x):
        return self.norm(self.blocks[0](x))


class DropsInTrainingOnly(Encoder):
    def call(self, x, training=None):
        if training:
            x = self.dropout(x)
        return self.norm(self.blocks[2](self.blocks[1](self.blocks[0](x))))


class LooksAtNumbers(Encoder):
    def call(self, x):
        return super().call(x if numpy(x).any() else -x)


def with_encoder(encoder):
    inputs = keras.Input((5, 3))
    x = layers.Dense(4, name="patches")(inputs)
    return keras.Model(inputs, encoder(name="encoder")(x))


@pytest.mark.only_on("torch")
def test_layers_that_only_call_others_are_looked_into(tmp_path):
    original = with_encoder(Encoder)
    graph = flat_model(original).graph
    blocks = ["block0", "block1", "block2"]
    assert [layer.name for layer in graph.layers[1:]] == [
        *("patches", "dropout"),
        *(*blocks, "encoder_norm"),
    ]
    assert cut_plan(original, 4).cut == ["dropout", *blocks[:2]]
    model = localize(original, 3, cut=4)
    x = np.random.default_rng(0).normal(size=(4, 5, 3)).astype("float32")
    expected = numpy(original(x))
    np.testing.assert_allclose(features_of(model, x), expected, atol=1e-6)
    assert len(model.trainable_variables) == 4 + len(
        original.trainable_variables
    )
    model.compile("sgd")
    model.fit(x, np.arange(4) % 3, verbose=0)
    # They share their weights with the given model, and are saved.
    np.testing.assert_allclose(features_of(model, x), numpy(original(x)))
    assert np.abs(numpy(original(x)) - expected).max() > 1e-4
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.predict(x), model.predict(x), atol=1e-6)


@pytest.mark.only_on("torch")
@pytest.mark.parametrize(
    "encoder",
    [
        Doubles,
        HasAWeight,
        LeavesABlockOut,
        DropsInTrainingOnly,
        LooksAtNumbers,
    ],
)
def test_layers_that_do_more_than_call_others_stay_whole(encoder):
    inputs = keras.Input((5, 4))
    layer = encoder(name="encoder")
    layer.build((None, 5, 4))
    symbol = layer(inputs) if encoder is not LooksAtNumbers else None
    assert layer_chain(layer, inputs) is None
    if symbol is not None:
        graph = flat_model(with_encoder(encoder)).graph
        assert [x.name for x in graph.layers[1:]] == ["patches", "encoder"]
