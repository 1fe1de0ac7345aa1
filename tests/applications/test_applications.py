"""The architectures are the published ones."""

import keras
import numpy as np
import pytest

from keras_ff import applications
from keras_ff import contributions
from keras_ff import models

NAMES = ("tiny_cnn", "vgg14", "resnet17")
# Convolution weights on 32 x 32 colour images with 10 classes.
WEIGHTS = {"tiny_cnn": 2_667_500, "vgg14": 17_774_190, "resnet17": 30_602_700}
DEPTH = {"tiny_cnn": 4, "vgg14": 14, "resnet17": 17}


def kernels(model):
    return [
        w for w in model.weights if w.name == "kernel" and len(w.shape) == 4
    ]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("method", ["caw", "backprop"])
def test_published_size(name, method):
    model = getattr(applications, name)((32, 32, 3), 10, method=method)
    assert len(kernels(model)) == DEPTH[name]
    assert sum(np.prod(w.shape) for w in kernels(model)) == WEIGHTS[name]
    if method == "caw":
        assert len(model.local_layers) == DEPTH[name]
        # One assignment of every channel to 10 classes, and a temperature.
        channels = sum(w.shape[-1] for w in kernels(model))
        trainable = sum(np.prod(w.shape) for w in model.trainable_weights)
        assert trainable == WEIGHTS[name] + 10 * channels + DEPTH[name]
        assert model.goodness(np.zeros((1, 32, 32, 3))).shape == (
            (1, DEPTH[name], 10)
        )


def test_resnet17_is_wired_as_published():
    model = applications.resnet17((32, 32, 3), 10)
    shapes = [layer.output[0].shape[1:] for layer in model.local_layers]
    assert shapes == [(32, 32, 100)] + [
        (size, size, width)
        for size, width in ((32, 100), (16, 200), (8, 400), (4, 800))
        for _ in range(4)
    ]
    # The first convolution of a block sees the concatenated features.
    inputs = [w.shape[2] for w in kernels(model)]
    assert inputs[1::4] == [100, 200, 400, 800]
    adds = [x for x in model.layers if isinstance(x, keras.layers.Add)]
    assert [x.output.shape[-1] for x in adds] == [100, 200, 400, 800]
    joins = [x for x in model.layers if isinstance(x, keras.layers.Concatenate)]
    assert [x.output.shape[-1] for x in joins] == [200, 400, 800]


@pytest.mark.parametrize("method", ["caw", "cw", "projection", "backprop"])
@pytest.mark.parametrize("name", [*NAMES, "mlp"])
def test_every_method_trains(name, method):
    if name == "mlp" and method == "cw":
        with pytest.raises(ValueError, match="convolutions only"):
            applications.mlp((8, 8, 1), 2, method="cw")
        return
    extra = {"units": (8, 8)} if name == "mlp" else {}
    model = getattr(applications, name)(
        (8, 8, 1), 2, method=method, width_multiplier=0.1, **extra
    )
    model.compile(
        optimizer=keras.optimizers.SGD(0.01),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        run_eagerly=True,
    )
    x = np.random.default_rng(0).normal(size=(4, 8, 8, 1)).astype("float32")
    before = [np.array(w) for w in model.get_weights()]
    model.train_on_batch(x, np.array([0, 1, 0, 1]))
    changed = [
        not np.array_equal(a, b) for a, b in zip(before, model.get_weights())
    ]
    assert any(changed)
    assert all(np.all(np.isfinite(w)) for w in model.get_weights())
    assert model.predict_on_batch(x).shape == (4, 2)


def test_options_reach_the_model_and_its_layers():
    model = applications.tiny_cnn(
        (8, 8, 1),
        3,
        width_multiplier=0.03,
        dropout=0.25,
        model_options={"contribution": contributions.Last(), "name": "tiny"},
        layer_options={"temperature": 2.0},
    )
    assert isinstance(model, models.ForwardOnlyModel)
    assert model.name == "tiny"
    assert isinstance(model.contribution, contributions.Last)
    for layer in model.local_layers:
        assert layer.dropout.rate == 0.25
        assert layer.goodness.temperature == 2.0
        assert layer.conv.filters % 3 == 0


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(method="magic"), r"'caw', 'cw', 'projection', 'backprop'.*magic"),
        (dict(width_multiplier=0), "positive.*0"),
        (dict(input_shape=(3, 3, 1)), r"at least 4 x 4.*\(3, 3, 1\)"),
    ],
)
def test_bad_arguments(arguments, message):
    arguments = {"input_shape": (8, 8, 1), "num_classes": 2, **arguments}
    with pytest.raises(ValueError, match=message):
        applications.tiny_cnn(**arguments)
