"""Any acyclic graph of local and weightless layers trains as one by hand."""

import keras
import numpy as np
import pytest
from by_hand import ByHand
from keras import ops
from tiny_models import CLASSES
from tiny_models import FEATURES
from tiny_models import assert_close
from tiny_models import assert_same
from tiny_models import copy_state
from tiny_models import data
from tiny_models import dense_block
from tiny_models import numpy
from tiny_models import state

from keras_ff import layers
from keras_ff.models import ForwardOnlyModel

pytestmark = pytest.mark.eager

RATE = 0.1
MAP = (4, 4, 2)


def conv_block(name, filters=3):
    return layers.LocalBlock(
        keras.layers.Conv2D(filters, 3, padding="same", activation="relu"),
        layers.GoodnessProjection(CLASSES),
        name=name,
    )


class Graph:
    """A model, its inputs, and the same network called by hand."""

    shapes = ((FEATURES,),)

    def build(self):
        raise NotImplementedError

    def goodness(self, get, *inputs, training):
        raise NotImplementedError


class ListOfLayers(Graph):
    def build(self):
        return ForwardOnlyModel(
            [
                keras.Input((FEATURES,)),
                dense_block("a"),
                dense_block("b", units=4, normalization="rms"),
                dense_block("c"),
            ]
        )

    def goodness(self, get, x, training):
        x, first = get("a")(x, training=training)
        x, second = get("b")(x, training=training)
        _, third = get("c")(x, training=training)
        return [first, second, third]


class Residual(Graph):
    def build(self):
        inputs = keras.Input((FEATURES,))
        x, first = dense_block("a")(inputs)
        y, second = dense_block("b")(x)
        x = keras.layers.Add()([x, y])
        _, third = dense_block("c")(x)
        # The order of the outputs is the user's.
        return ForwardOnlyModel(inputs, [third, first, second])

    def goodness(self, get, x, training):
        x, first = get("a")(x, training=training)
        y, second = get("b")(x, training=training)
        _, third = get("c")(x + y, training=training)
        return [third, first, second]


class Concatenation(Graph):
    def build(self):
        inputs = keras.Input((FEATURES,))
        x, first = dense_block("a")(inputs)
        y, second = dense_block("b")(inputs)
        x = keras.layers.Concatenate()([x, y, inputs])
        _, third = dense_block("c")(x)
        return ForwardOnlyModel(inputs, [first, second, third])

    def goodness(self, get, x, training):
        h, first = get("a")(x, training=training)
        k, second = get("b")(x, training=training)
        x = ops.concatenate([h, k, x], axis=-1)
        return [first, second, get("c")(x, training=training)[1]]


class TwoInputs(Graph):
    shapes = ((FEATURES,), (3,))

    def build(self):
        left, right = keras.Input((FEATURES,)), keras.Input((3,))
        x, first = dense_block("a")(left)
        y, second = dense_block("b")(right)
        _, third = dense_block("c")(keras.layers.Maximum()([x, y]))
        return ForwardOnlyModel([left, right], [first, second, third])

    def goodness(self, get, left, right, training):
        x, first = get("a")(left, training=training)
        y, second = get("b")(right, training=training)
        x = ops.maximum(x, y)
        return [first, second, get("c")(x, training=training)[1]]


class OneLayerWithTwoInputs(Graph):
    shapes = ((FEATURES,), (3,))

    def build(self):
        left, right = keras.Input((FEATURES,)), keras.Input((3,))
        joined = layers.LocalBlock(
            [keras.layers.Concatenate(), keras.layers.Dense(4)],
            layers.GoodnessProjection(CLASSES),
            name="a",
        )
        x, first = joined([left, right])
        return ForwardOnlyModel([left, right], [first, dense_block("b")(x)[1]])

    def goodness(self, get, left, right, training):
        x, first = get("a")([left, right], training=training)
        return [first, get("b")(x, training=training)[1]]


class DeepLocalBlock(Graph):
    shapes = (MAP,)

    def build(self):
        return ForwardOnlyModel(
            [
                keras.Input(MAP),
                layers.LocalBlock(
                    [
                        keras.layers.Conv2D(3, 3, use_bias=False),
                        keras.layers.BatchNormalization(),
                        keras.layers.ReLU(),
                        keras.layers.Flatten(),
                        keras.layers.Dense(6, activation="relu"),
                    ],
                    layers.GoodnessProjection(CLASSES),
                    normalization="layer",
                    name="a",
                ),
                dense_block("b"),
            ]
        )

    def goodness(self, get, x, training):
        x, first = get("a")(x, training=training)
        return [first, get("b")(x, training=training)[1]]


class FrozenLayerAndNormalization(Graph):
    def build(self):
        normalization = keras.layers.Normalization(
            mean=np.arange(FEATURES), variance=np.full(FEATURES, 4.0)
        )
        pretrained = keras.Sequential(
            [
                keras.layers.Dense(7, activation="tanh"),
                keras.layers.BatchNormalization(),
            ],
            name="pretrained",
        )
        pretrained.trainable = False
        return ForwardOnlyModel(
            [
                keras.Input((FEATURES,)),
                normalization,
                pretrained,
                dense_block("a"),
                dense_block("b"),
            ]
        )

    def goodness(self, get, x, training):
        x = (x - ops.arange(FEATURES, dtype="float32")) / 2.0
        dense, batch_normalization = get("pretrained").layers
        x = ops.tanh(ops.matmul(x, dense.kernel) + dense.bias)
        # Frozen, it uses its moving statistics in training, too.
        x = batch_normalization(x, training=False)
        x, first = get("a")(x, training=training)
        return [first, get("b")(x, training=training)[1]]


class Augmentation(Graph):
    shapes = (MAP,)

    def build(self):
        return ForwardOnlyModel(
            [
                keras.Input(MAP),
                keras.layers.RandomFlip("horizontal", name="flip"),
                conv_block("a"),
                keras.layers.AveragePooling2D(2),
                keras.layers.GaussianNoise(0.5, seed=3, name="noise"),
                conv_block("b"),
            ]
        )

    def goodness(self, get, x, training):
        x = get("flip")(x, training=training)
        x, first = get("a")(x, training=training)
        x = ops.mean(ops.reshape(x, (-1, 2, 2, 2, 2, 3)), axis=(2, 4))
        x = get("noise")(x, training=training)
        return [first, get("b")(x, training=training)[1]]


@keras.saving.register_keras_serializable(package="keras_ff_tests")
class UsualSignature(layers.LocalBlock):
    """As Keras's users write `call`."""

    def call(self, inputs, training=False):
        return super().call(inputs, training=training)


@keras.saving.register_keras_serializable(package="keras_ff_tests")
class SilentNoise(keras.layers.Layer):
    """Knows of training only what Keras tells the layers inside."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.noise = keras.layers.GaussianNoise(0.5, seed=3)

    def call(self, inputs):
        return self.noise(inputs)


class TrainingInTheGraph(Graph):
    """Keras puts what is known when a model runs over what was given."""

    def build(self):
        inputs = keras.Input((FEATURES,))
        parts = [
            keras.layers.Dense(6, activation="relu"),
            keras.layers.Dropout(0.3, seed=8),
        ]
        head = layers.GoodnessProjection(CLASSES)
        x = SilentNoise(name="noise")(inputs)
        x, first = UsualSignature(parts, head, name="a")(x)
        _, second = dense_block("b")(x, training=True)
        return ForwardOnlyModel(inputs, [first, second])

    def goodness(self, get, x, training):
        x = get("noise")(x, training=training)
        x, first = get("a")(x, training=training)
        return [first, get("b")(x, training=training)[1]]


class SharedHead(Graph):
    def build(self):
        head = layers.GoodnessProjection(CLASSES, name="head")
        return ForwardOnlyModel(
            [
                keras.Input((FEATURES,)),
                *[
                    layers.LocalBlock(
                        keras.layers.Dense(6, activation="relu"),
                        head,
                        name=name,
                    )
                    for name in "ab"
                ],
            ]
        )

    def goodness(self, get, x, training):
        x, first = get("a")(x, training=training)
        return [first, get("b")(x, training=training)[1]]


class TiedLayers(SharedHead):
    """One layer in two blocks, and twice in one of them."""

    def build(self):
        tied = keras.layers.Dense(
            FEATURES,
            activation="tanh",
            kernel_regularizer="l2",
            name="tied",
        )
        return ForwardOnlyModel(
            [
                keras.Input((FEATURES,)),
                *[
                    layers.LocalBlock(
                        parts, layers.GoodnessProjection(CLASSES), name=name
                    )
                    for name, parts in (("a", [tied, tied]), ("b", [tied]))
                ],
            ]
        )


GRAPHS = [
    TrainingInTheGraph,
    SharedHead,
    Residual,
    FrozenLayerAndNormalization,
    Augmentation,
    # Graphs are walked alike on all backends.
    *(
        pytest.param(graph, marks=pytest.mark.only_on("torch"))
        for graph in (
            *(TwoInputs, OneLayerWithTwoInputs, TiedLayers, ListOfLayers),
            *(Concatenation, DeepLocalBlock),
        )
    ),
]


@pytest.mark.filterwarnings("ignore:Layers .* share parts")
@pytest.mark.eager(False)
@pytest.mark.parametrize("graph", GRAPHS, ids=lambda graph: graph.__name__)
def test_graph_trains_and_predicts_as_by_hand(graph):
    graph = graph()
    model = graph.build()
    xs = [data(8, shape, seed=i)[0] for i, shape in enumerate(graph.shapes)]
    _, y = data(8)
    x = xs if len(xs) > 1 else xs[0]

    expected = graph.goodness(
        model.get_layer,
        *[ops.convert_to_tensor(each) for each in xs],
        training=False,
    )
    expected = np.stack([numpy(g) for g in expected], axis=1)
    assert_close([model.goodness(x)], [expected])
    assert_close([model.predict(x, verbose=0)], [expected.sum(axis=1)])
    called = model(x, training=False)
    assert_close([numpy(called)], [expected.sum(axis=1)])

    # Built, not cloned: a clone's layers share nothing.
    hand_model = graph.build()
    copy_state(model, hand_model)
    hand = ByHand(
        hand_model,
        lambda get, x: graph.goodness(
            get, *(x if len(xs) > 1 else [x]), training=True
        ),
    )
    start = state(model)
    model.compile(optimizer=keras.optimizers.SGD(RATE))
    logs = model.train_on_batch(x, y, return_dict=True)
    losses = hand.sgd([RATE] * len(hand.variables), x, y)
    np.testing.assert_allclose(logs["loss"], losses.sum(), rtol=1e-5)
    for variable, other, old in zip(
        model.variables, hand_model.variables, start
    ):
        change = np.abs(numpy(other) - old).max()
        np.testing.assert_allclose(
            numpy(variable),
            numpy(other),
            rtol=1e-6,
            atol=1e-5 * change,
            err_msg=variable.path,
        )
        if variable.trainable and "seed" not in variable.path:
            assert change > 1e-5, variable.path


def test_augmentation_is_off_outside_training():
    model = Augmentation().build()
    x, _ = data(8, MAP)
    prediction = model.predict(x, verbose=0)
    assert_same([model.predict(x, verbose=0)], [prediction])
    assert np.abs(numpy(model(x, training=True)) - prediction).max() > 1e-3


def test_frozen_and_normalization_layers_do_not_change():
    model = FrozenLayerAndNormalization().build()
    fixed = [
        v
        for layer in model.layers
        if layer.name not in ("a", "b")
        for v in layer.variables
        if not v.path.endswith("/epoch")
    ]
    assert len(fixed) > 6
    before = [numpy(v) for v in fixed]
    model.compile(optimizer=keras.optimizers.SGD(RATE))
    model.fit(*data(16), batch_size=8, verbose=0)
    assert_same([numpy(v) for v in fixed], before)


def test_frozen_local_layer_is_run_but_not_trained():
    graph = ListOfLayers()
    model = graph.build()
    frozen = model.get_layer("b")
    frozen.trainable = False
    before = [numpy(v) for v in frozen.variables]
    others = [numpy(v) for v in model.trainable_variables]
    model.compile(optimizer=keras.optimizers.SGD(RATE))
    x, y = data(8)
    logs = model.train_on_batch(x, y, return_dict=True)
    assert_same([numpy(v) for v in frozen.variables], before)
    for variable, old in zip(model.trainable_variables, others):
        assert np.abs(numpy(variable) - old).max() > 1e-5, variable.path
    # Its loss still counts.
    assert logs["loss"] > 2 * np.log(CLASSES)


def test_inputs_may_be_given_by_name():
    left, right = (
        keras.Input((FEATURES,), name="l"),
        keras.Input((3,), name="r"),
    )
    x, first = dense_block("a")(left)
    y, second = dense_block("b")(right)
    model = ForwardOnlyModel({"l": left, "r": right}, [first, second])
    model.compile(optimizer=keras.optimizers.SGD(RATE))
    (x, y), (z, _) = data(8), data(8, (3,))
    model.fit({"r": z, "l": x}, y, batch_size=4, epochs=2, verbose=0)
    expected = model.get_layer("a")(x)[1] + model.get_layer("b")(z)[1]
    assert_close(
        [model.predict({"l": x, "r": z}, verbose=0)], [numpy(expected)]
    )
