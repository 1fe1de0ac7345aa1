"""Models that grow: more classes, the same scores of the old ones."""

import keras
import numpy as np
import pytest
from tiny_models import CLASSES
from tiny_models import FEATURES
from tiny_models import assert_close
from tiny_models import assert_same
from tiny_models import caw_dense
from tiny_models import data
from tiny_models import dense_model
from tiny_models import numpy
from tiny_models import optimizer_state
from tiny_models import state

from keras_ff import layers
from keras_ff.contributions import LossAware
from keras_ff.losses import SmoothMarginLoss
from keras_ff.models import ForwardOnlyModel
from keras_ff.models import adapt_prototypes
from keras_ff.models import add_classes
from keras_ff.models import load_model

pytestmark = pytest.mark.eager


def model_of_all_heads(**options):
    """Every head that grows, batch statistics, groups, dropout."""
    return ForwardOnlyModel(
        [
            keras.Input((FEATURES,)),
            layers.PrototypeDense(6, CLASSES, embedding_size=4, dropout=0.1),
            layers.LocalBlock(
                [keras.layers.Dense(6), keras.layers.BatchNormalization()],
                layers.GoodnessProjection(CLASSES, use_bias=True),
                normalization="group",
            ),
            layers.LocalBlock(
                keras.layers.Dense(6, activation="relu"),
                layers.AuxiliaryHead(
                    keras.layers.Dense(4),
                    layers.HypersphericalPrototypes(
                        CLASSES, prototypes_per_class=2
                    ),
                    scale=4.0,
                ),
            ),
        ],
        contribution=LossAware(source="training"),
        layer_clipnorm=1.0,
        **options,
    )


def new_data(size=24):
    """Samples of two further classes."""
    x, y = data(size, seed=5)
    keep = y < 2
    return -x[keep], y[keep] + CLASSES


def test_old_classes_are_scored_as_before_and_training_goes_on(tmp_path):
    model = model_of_all_heads(layer_metrics=True)
    loss = SmoothMarginLoss(margin=0.1)
    model.compile(keras.optimizers.Adam(0.01), loss=loss, metrics=["accuracy"])
    model.fit(*data(), epochs=2, batch_size=8, verbose=0)
    x, _ = data(9, seed=2)
    before, optimizer = state(model), optimizer_state(model)
    goodness, prediction = model.goodness(x), model.predict(x, verbose=0)

    grown = add_classes(model, 2)
    assert type(grown) is ForwardOnlyModel and grown.num_classes == CLASSES + 2
    assert_close([grown.goodness(x)[..., :CLASSES]], [goodness])
    assert_close([grown.predict(x, verbose=0)[:, :CLASSES]], [prediction])
    assert_same([grown.contribution.weights], [model.contribution.weights])
    assert grown.epoch == 2 and isinstance(grown.contribution, LossAware)
    readout = grown.get_layer("readout")
    assert readout.layer_clipnorm == 1.0 and readout.layer_metrics
    assert grown.loss.margin == 0.1

    # The optimizer goes on; what is new in it starts at zero.
    assert len(optimizer) == len(grown.optimizer.variables)
    for now, old in zip(optimizer_state(grown), optimizer):
        front = tuple(slice(size) for size in old.shape)
        np.testing.assert_array_equal(now[front], old)
        assert np.isclose(np.abs(now).sum(), np.abs(old).sum())

    grown.save(tmp_path / "grown.keras")
    loaded = load_model(tmp_path / "grown.keras")
    assert_same(state(loaded), state(grown))
    assert_same(optimizer_state(loaded), optimizer_state(grown))

    x, y = new_data()
    # Two batches of one size.
    x, y = x[:16], y[:16]
    # What is the same trains on alike, as PyTorch, the fastest, shows.
    if keras.backend.backend() == "torch":
        for twin in (grown, loaded):
            twin.fit(x, y, batch_size=8, epochs=8, shuffle=False, verbose=0)
        assert grown.epoch == 10
        assert_close(state(loaded), state(grown), 1e-3, 1e-4)
        results = grown.evaluate(x, y, verbose=0, return_dict=True)
        assert results["accuracy"] > 0.9
    else:
        start = state(grown)
        grown.train_on_batch(x[:8], y[:8])
        assert any(np.any(a != b) for a, b in zip(state(grown), start))
    # The given model has weights of its own.
    assert_same(state(model), before)
    assert_same(optimizer_state(model), optimizer)


def test_new_prototypes_are_class_means_and_old_ones_stay():
    model = ForwardOnlyModel(
        [keras.Input((FEATURES,)), layers.PrototypeDense(8, CLASSES)]
    )
    grown = add_classes(model, 2)
    assert not grown.compiled
    x, y = new_data()
    adapt_prototypes(grown, x, y)
    (old,), (layer,) = model.local_layers, grown.local_layers
    assert_same([numpy(layer.prototypes)[:CLASSES]], [numpy(old.prototypes)])
    h = np.maximum(x @ numpy(old.kernel) + numpy(old.bias), 0.0)
    z = h / np.maximum(np.linalg.norm(h, axis=-1, keepdims=True), 1e-6)
    means = np.stack([z[y == k].mean(axis=0) for k in (CLASSES, CLASSES + 1)])
    means /= np.linalg.norm(means, axis=-1, keepdims=True)
    assert_close([numpy(layer.prototypes)[CLASSES:, 0]], [means], 1e-4, 1e-5)


@pytest.mark.only_on("torch")
def test_frozen_layers_and_an_optimizer_without_state():
    model = dense_model()
    model.local_layers[0].trainable = False
    model.compile(keras.optimizers.SGD(0.1))
    grown = add_classes(model, 1)
    assert not grown.local_layers[0].trainable
    assert not grown.optimizer.built
    model.trainable = False
    assert not add_classes(model, 1).trainable


class OwnHead(layers.GoodnessHead):
    """Scores classes by themselves, and says so."""

    independent_classes = True

    def build(self, input_shape):
        self.columns = self.add_weight(
            shape=(input_shape[-1], self.num_classes), name="columns"
        )

    def call(self, inputs, mask=None):
        return keras.ops.matmul(inputs, self.columns)


@pytest.mark.only_on("torch")
def test_head_of_ones_own_grows():
    model = ForwardOnlyModel(
        [
            keras.Input((FEATURES,)),
            layers.LocalBlock(keras.layers.Dense(4), OwnHead(CLASSES)),
        ]
    )
    x, _ = data(5)
    grown = add_classes(model, 3)
    assert_close([grown.predict(x, verbose=0)[:, :3]], [model.predict(x)])


def quantized():
    model = dense_model()
    model.local_layers[1].head.projection.quantize("int8")
    return model


def regression():
    model = dense_model()
    model.compile("sgd", loss="mse")
    return model


class WithoutClasses(layers.LocalLayer):
    """Keeps its number of classes to itself."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.layers = [keras.layers.Dense(4)]
        self.head = layers.GoodnessProjection(CLASSES)


def chain(layer):
    return ForwardOnlyModel([keras.Input((FEATURES,)), layer])


@pytest.mark.only_on("torch")
@pytest.mark.parametrize(
    "make, number, error, message",
    [
        (
            lambda: chain(caw_dense("caw")),
            1,
            ValueError,
            "'caw' cannot take more classes: in ChannelClassAssignment.*"
            "Use HypersphericalPrototypes or GoodnessProjection",
        ),
        (
            lambda: chain(
                layers.LocalBlock(
                    keras.layers.Dense(6),
                    layers.AuxiliaryHead(
                        keras.layers.Dense(6), layers.ChannelGroups(CLASSES)
                    ),
                )
            ),
            1,
            ValueError,
            "in ChannelGroups",
        ),
        (
            lambda: chain(
                layers.LocalBlock(
                    keras.layers.Dense(6), keras.layers.Dense(CLASSES)
                )
            ),
            1,
            ValueError,
            "in Dense, as far as is known",
        ),
        (
            lambda: chain(WithoutClasses()),
            1,
            ValueError,
            "`get_config\\(\\)` has no `num_classes`",
        ),
        (quantized, 1, ValueError, "Add classes before `quantize`"),
        (regression, 1, ValueError, "Received: one of regression"),
        (dense_model, 0, ValueError, "`number` must be"),
        (dense_model, 1.0, TypeError, "`number` must be"),
        (lambda: keras.Sequential(), 1, TypeError, "must be a ForwardOnly"),
    ],
)
def test_what_cannot_grow(make, number, error, message):
    with pytest.raises(error, match=message):
        add_classes(make(), number)
