"""Layers in stages of their own train as they do one after another."""

import threading

import keras
import numpy as np
import pytest
from distribution.graph_model import difference
from distribution.graph_model import graph_model
from distribution.graph_model import trained
from models.tiny_models import FEATURES
from models.tiny_models import data
from models.tiny_models import dense_block
from models.tiny_models import dense_model
from models.tiny_models import numpy

from keras_ff.callbacks import Backup
from keras_ff.distribution import LayerParallel
from keras_ff.layers import FFDense
from keras_ff.models import ForwardForwardModel
from keras_ff.models import ForwardOnlyModel

TENSORFLOW = keras.backend.backend() == "tensorflow"
CPU = "cpu:0" if keras.backend.backend() == "jax" else "cpu"

needs_stages = pytest.mark.skipif(TENSORFLOW, reason="TensorFlow has no stages")


@pytest.fixture(autouse=True)
def nothing_left_over():
    yield
    keras.distribution.set_distribution(None)
    threads = [thread.name for thread in threading.enumerate()]
    assert not [name for name in threads if name.startswith("stage")]


def in_stages(number=2):
    return LayerParallel(devices=[CPU], stages=number)


@pytest.mark.skipif(not TENSORFLOW, reason="others have stages")
def test_tensorflow_is_refused_by_name():
    with pytest.raises(ValueError, match="the backend 'tensorflow'"):
        LayerParallel()


# On devices of JAX: `tests/models/test_distribution.py`.
@pytest.mark.only_on("torch")
def test_stages_train_as_one_device():
    one = trained()
    found = difference(one, trained(in_stages(3)))
    assert max(found.values()) < 1e-5, found
    # Something was learned, so that there is something to compare.
    assert one[1]["loss"][-1] < 0.95 * one[1]["loss"][0]


@pytest.mark.only_on("torch")
def test_a_run_goes_on_without_stages(tmp_path):
    """It is backed up in stages, and resumed without."""
    whole = trained(epochs=2)
    backup = Backup(tmp_path / "backup")
    trained(in_stages(), epochs=1, callbacks=[backup])
    backup = Backup(tmp_path / "backup")
    model = graph_model()
    start = backup.restore(model)
    assert start == 1
    model.fit(
        *data(26),
        batch_size=8,
        epochs=2,
        initial_epoch=start,
        validation_data=data(10, seed=1),
        callbacks=[backup],
        verbose=0,
    )
    for variable, other in zip(model.variables, whole[0].variables):
        if "metrics" not in variable.path:
            np.testing.assert_allclose(
                numpy(variable), numpy(other), atol=1e-5, err_msg=variable.path
            )


class EachBatch(keras.callbacks.Callback):
    """Sets the learning rate before batches, and looks at weights after."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_begin(self, batch, logs=None):
        self.model.optimizer.learning_rate = 0.1 / (1 + batch)

    def on_train_batch_end(self, batch, logs=None):
        if batch == 1:
            self.seen += self.model.get_weights()


@needs_stages
def test_callbacks_within_an_epoch_hold():
    found = []
    for distribution in (None, in_stages()):
        keras.utils.set_random_seed(3)
        model = dense_model(3)
        model.compile(keras.optimizers.SGD(0.1, momentum=0.9))
        each = EachBatch()
        keras.distribution.set_distribution(distribution)
        model.fit(*data(32), batch_size=8, callbacks=[each], verbose=0)
        found.append([*each.seen, *model.get_weights()])
    assert len(found[0]) > 12
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@keras.saving.register_keras_serializable(package="tests")
class Poison(keras.layers.Layer):
    """Features as they are, or NaN where a sample is marked by 50."""

    def call(self, inputs):
        features, samples = inputs
        marked = keras.ops.any(samples > 40, axis=-1, keepdims=True)
        return keras.ops.where(marked, float("nan"), features)


def poisoned_model():
    inputs = keras.Input((FEATURES,))
    x, goodness_1 = dense_block("before")(inputs)
    x = Poison()([x, inputs])
    x, goodness_2 = dense_block("there")(x)
    _, goodness_3 = dense_block("after")(x)
    model = ForwardOnlyModel(inputs, [goodness_1, goodness_2, goodness_3])
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9))
    return model


def weights_of(model, *names):
    return [w for name in names for w in model.get_layer(name).get_weights()]


@needs_stages
def test_a_bad_batch_is_left_out_from_the_layer_that_finds_it():
    x, y = data(48)
    keras.utils.set_random_seed(3)
    model = poisoned_model()
    model.fit(x[:16], y[:16], batch_size=8, shuffle=False, verbose=0)
    expected = weights_of(model, "there", "after")
    x[17] = 50
    keras.utils.set_random_seed(3)
    model = poisoned_model()
    start = weights_of(model, "before")
    keras.distribution.set_distribution(in_stages(3))
    with pytest.raises(ValueError, match="layer 'there'.*in batch 2 of the"):
        model.fit(x, y, batch_size=8, shuffle=False, verbose=0)
    for one, other in zip(expected, weights_of(model, "there", "after")):
        np.testing.assert_allclose(one, other, atol=1e-6)
    learned = weights_of(model, "before")
    assert np.isfinite(np.concatenate([w.ravel() for w in learned])).all()
    assert any(np.abs(a - b).max() > 1e-4 for a, b in zip(start, learned))
    # The next training begins anew.
    model.fit(x[:16], y[:16], batch_size=8, verbose=0)


@needs_stages
def test_no_layer_learns_from_wrong_labels():
    x, y = data(24)
    y[9] = 77
    batches = [(x[i : i + 8], y[i : i + 8]) for i in (0, 8, 16)]
    keras.utils.set_random_seed(3)
    model = dense_model(3)
    model.compile(keras.optimizers.SGD(0.1))
    model.fit(*batches[0], batch_size=8, verbose=0)
    expected = model.get_weights()
    keras.utils.set_random_seed(3)
    model = dense_model(3)
    model.compile(keras.optimizers.SGD(0.1))
    keras.distribution.set_distribution(in_stages(3))
    with pytest.raises(ValueError, match="77.*batch, number 1, was not"):
        model.fit((batch for batch in batches), verbose=0)
    for one, other in zip(expected[:-4], model.get_weights()[:-4]):
        np.testing.assert_allclose(one, other, atol=1e-6)


class Fails(keras.layers.Layer):
    """Raises in `fit`."""

    def call(self, inputs, training=None):
        if training and threading.current_thread().name.startswith("stage"):
            raise RuntimeError("out of order")
        return inputs


@needs_stages
def test_an_error_in_a_stage_ends_fit():
    inputs = keras.Input((FEATURES,))
    x, goodness_1 = dense_block("first")(inputs)
    x, goodness_2 = dense_block("second")(x)
    _, goodness_3 = dense_block("third")(Fails()(x))
    model = ForwardOnlyModel(inputs, [goodness_1, goodness_2, goodness_3])
    model.compile(keras.optimizers.SGD(0.1))
    expected = model.predict(data(8)[0], verbose=0)
    keras.distribution.set_distribution(
        LayerParallel(devices=[CPU] * 2, stages=2)
    )
    with pytest.raises(RuntimeError, match="out of order"):
        model.fit(*data(400), batch_size=4, epochs=2, verbose=0)
    # Without stages, on the first device.
    assert np.isfinite(model.goodness(data(8)[0])).all()
    model.train_on_batch(*data(8))
    found = model.predict(data(8)[0], verbose=0)
    assert found.shape == expected.shape and np.isfinite(found).all()


class OwnStep(ForwardOnlyModel):
    def train_step(self, *args):
        return super().train_step(*args)


class OwnMetric(ForwardOnlyModel):
    """Its loss counts something."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.counter = keras.metrics.Sum(name="counter")

    def compute_loss(self, x, y, y_pred, sample_weight, training):
        self.counter.update_state(keras.ops.ones(()))
        return super().compute_loss(x, y, y_pred, sample_weight, training)


def own_metric():
    return OwnMetric([keras.Input((FEATURES,)), *map(dense_block, "ab")])


def one_layer():
    return dense_model(1)


def own_step():
    return OwnStep([keras.Input((FEATURES,)), dense_block("a")])


def forward_forward():
    units = [
        keras.Input((FEATURES,)),
        *[FFDense(4) for _ in range(2)],
    ]
    return ForwardForwardModel(units, num_classes=3)


SGD = keras.optimizers.SGD
REFUSED = [
    (one_layer, {}, "stages=2, 1 local layer"),
    (own_step, {}, "OwnStep has a `train_step` of its own"),
    (own_metric, {}, "`compute_loss` of 'own_metric.*updates '"),
    (forward_forward, {}, "ForwardForwardModel has parts that look at all"),
    (dense_model, {"optimizer": SGD(global_clipnorm=1.0)}, "global_clipnorm"),
    (dense_model, {"optimizer": SGD(use_ema=True)}, "use_ema=True"),
    (
        dense_model,
        {"optimizer": SGD(gradient_accumulation_steps=2)},
        "gradient_accumulation_steps=2",
    ),
    (
        dense_model,
        {"optimizer": keras.optimizers.LossScaleOptimizer(SGD())},
        "LossScaleOptimizer looks at",
    ),
    (dense_model, {"jit_compile": True}, "jit_compile=True"),
]


@pytest.mark.only_on("torch")
@pytest.mark.parametrize("make, options, message", REFUSED)
def test_what_cannot_be_spread_is_refused(make, options, message):
    model = make()
    model.compile(**options)
    keras.distribution.set_distribution(in_stages())
    with pytest.raises(ValueError, match=message):
        model.fit(*data(8), verbose=0)


@pytest.mark.only_on("torch")
def test_arguments():
    with pytest.raises(TypeError, match="list of names of devices"):
        LayerParallel(devices="cpu")
    with pytest.raises(ValueError, match="`devices` must name"):
        LayerParallel(devices=[])
    with pytest.raises(ValueError, match="`stages`"):
        LayerParallel(stages=0)
    model = dense_model()
    model.compile()
    with LayerParallel(devices=["nowhere:7"]).scope():
        with pytest.raises(ValueError, match="'nowhere:7' in `devices`"):
            model.fit(*data(8), verbose=0)
