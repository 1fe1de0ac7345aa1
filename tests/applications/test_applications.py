"""The ready architectures: sizes, wiring and one step of every method."""

import contextlib

import keras
import numpy as np
import pytest

from keras_ff import applications
from keras_ff import methods
from keras_ff.applications.builder import Builder
from keras_ff.contributions import LossAware
from keras_ff.layers import CAWConv2D
from keras_ff.layers import CAWDense
from keras_ff.layers import CWConv2D
from keras_ff.layers import LocalLayer
from keras_ff.models import ForwardOnlyModel

# What is built no backend changes.
pytestmark = [pytest.mark.eager, pytest.mark.only_on("torch")]
every_backend = pytest.mark.only_on("tensorflow", "jax", "torch")

METHODS = methods.names()
CONVOLUTIONAL = {
    "tiny_cnn": applications.tiny_cnn,
    "vgg14": applications.vgg14,
    "resnet17": applications.resnet17,
}
# What the paper's architectures have in their convolutions, computed from
# the published widths: sum of height * width * in * out.
TINY_CNN = [(5, 3, 100), (5, 100, 200), (3, 200, 400), (3, 400, 400)]
VGG14 = [
    (3, *pair)
    for pair in zip(
        [3, 70, 70, *[140] * 3, *[280] * 3, *[560] * 5],
        [70, 70, *[140] * 3, *[280] * 3, *[560] * 6],
    )
]
# Concatenation doubles what the next block receives.
RESNET17 = [(3, 3, 100)] + [
    (3, width, width) for width in (100, 200, 400, 800) for _ in range(4)
]


def size(convolutions):
    return sum(k * k * n_in * n_out for k, n_in, n_out in convolutions)


PUBLISHED = {
    "tiny_cnn": (TINY_CNN, 2_667_500),
    "vgg14": (VGG14, 17_774_190),
    "resnet17": (RESNET17, 30_602_700),
}


def kernels(model):
    """The shapes of all convolutions in the order in which they run."""
    shapes = []
    for layer in model.layers:
        if isinstance(layer, LocalLayer):
            layer = next(
                part
                for part in layer.layers
                if isinstance(part, keras.layers.Conv2D)
            )
        if isinstance(layer, keras.layers.Conv2D):
            shapes.append(tuple(layer.kernel.shape))
    return shapes


@pytest.mark.parametrize("name", PUBLISHED)
def test_convolutions_have_the_published_sizes(name):
    convolutions, total = PUBLISHED[name]
    assert size(convolutions) == total
    # No weight is allocated.
    with keras.StatelessScope():
        model = CONVOLUTIONAL[name]((32, 32, 3), 10)
        shapes = kernels(model)
    assert shapes == [(k, k, n_in, n_out) for k, n_in, n_out in convolutions]
    assert sum(int(np.prod(shape)) for shape in shapes) == total


# (height, width) of every layer's features on 32 x 32 pixels.
MAPS = {
    "tiny_cnn": [32, 16, 8, 8],
    "vgg14": [32] * 2 + [16] * 3 + [8] * 3 + [4] * 3 + [2] * 3,
    "resnet17": [32] * 5 + [16] * 4 + [8] * 4 + [4] * 4,
}


@pytest.mark.parametrize("name", MAPS)
def test_sizes_of_the_maps(name):
    model = CONVOLUTIONAL[name]((32, 32, 3), 2, width_multiplier=0.02)
    sizes = [layer.output[0].shape[1:3] for layer in model.local_layers]
    assert sizes == [(n, n) for n in MAPS[name]]


def test_resnet17_shortcuts():
    """Which tensors meet, told by following the graph back."""
    model = applications.resnet17((32, 32, 3), 2, width_multiplier=0.02)
    local = {layer.name: i for i, layer in enumerate(model.local_layers)}

    def sources(tensor):
        layer = tensor._keras_history.operation
        if layer.name in local:
            return local[layer.name]
        inputs = layer._inbound_nodes[0].input_tensors
        return (type(layer).__name__, *map(sources, inputs))

    inputs = {
        i: sources(layer._inbound_nodes[0].input_tensors[0])
        for i, layer in enumerate(model.local_layers)
        if i
    }
    # Second convolution of a block plus its shortcut feeds the third, the
    # concatenation of the fourth and that sum feeds the next block.
    shortcut = 0
    for block in range(4):
        first = 4 * block + 1
        for i in (first + 1, first + 3):
            assert inputs[i] == i - 1
        added = ("Add", first + 1, shortcut)
        assert inputs[first + 2] == added
        if block < 3:
            joined = ("Concatenate", first + 3, added)
            assert inputs[first + 4] == joined
            shortcut = ("AveragePooling2D", joined)
    assert inputs[1] == 0
    assert len(inputs) == 16


@pytest.mark.parametrize("num_classes", [2, 3, 7, 43])
@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_any_number_of_classes_and_width(name, num_classes):
    # Widths are rounded; sums must still match.
    for method, width in (("caw", 0.03), ("cw", 0.03), ("caw", 0.37)):
        with keras.StatelessScope():
            model = CONVOLUTIONAL[name]((8, 8, 3), num_classes, method, width)
            assert model.output_shape == (None, num_classes)
            for shape in kernels(model):
                grouped = method == "cw" or width == 0.37
                assert shape[-1] % num_classes == 0 or not grouped


def make(name, method):
    if name == "mlp":
        return applications.mlp((4, 4, 1), 2, method=method, units=(8, 6))
    width = 0.08 if name == "tiny_cnn" else 0.02
    return CONVOLUTIONAL[name]((8, 8, 1), 2, method, width_multiplier=width)


CASES = [
    pytest.param(
        *(name, method),
        marks=[every_backend]
        if (name, method) in (("tiny_cnn", "caw"), ("mlp", "backprop"))
        else [],
    )
    for name in ("tiny_cnn", "mlp")
    for method in METHODS
    if (name, method) != ("mlp", "cw")
]


@pytest.mark.parametrize("name, method", CASES)
def test_every_method_trains_one_step(name, method):
    model = make(name, method)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss=loss)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4, *model.input_shape[1:])).astype("float32")
    y = np.array([0, 1, 0, 1])
    before = [keras.ops.convert_to_numpy(v) for v in model.trainable_variables]
    loss = model.train_on_batch(x, y)
    assert np.isfinite(loss).all()
    changed = [
        np.abs(keras.ops.convert_to_numpy(v) - b).max() > 0
        for v, b in zip(model.trainable_variables, before)
    ]
    # CAW's equal assignment gives kernels no gradient in the first step, nor
    # do balanced classes the biases of predsim's projections, which are zero.
    assert all(changed) or (method in ("caw", "predsim") and any(changed))
    prediction = model.predict(x, verbose=0)
    assert prediction.shape == (4, 2)
    assert prediction.dtype == "float32"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["vgg14", "resnet17"])
def test_deep_architectures_of_every_method(name, method):
    model = make(name, method)
    depth = {"vgg14": 14, "resnet17": 17}[name]
    assert len(kernels(model)) == depth
    if method in ("backprop", "deep_supervision"):
        assert not isinstance(model, ForwardOnlyModel)
        if method == "deep_supervision":
            assert len(model.contribution.weights) == depth
        # Its convolutions are those of the local methods.
        assert kernels(model) == kernels(make(name, "caw"))
    else:
        assert len(model.local_layers) == depth
        kinds = {"caw": CAWConv2D, "cw": CWConv2D}
        for layer in model.local_layers:
            assert isinstance(layer, kinds.get(method, LocalLayer))


def test_resnet17_runs_one_step():
    # Wiring by shapes is one thing, tensors another.
    model = make("resnet17", "cw")
    model.compile(optimizer=keras.optimizers.SGD(0.1))
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 1)).astype("float32")
    assert np.isfinite(model.train_on_batch(x, np.array([0, 1]))).all()


def test_model_and_layer_options():
    model = applications.tiny_cnn(
        (8, 8, 1),
        2,
        width_multiplier=0.02,
        dropout=0.35,
        model_options=dict(
            contribution=LossAware(), layer_clipnorm=2.0, name="small"
        ),
        layer_options=dict(temperature=3.0),
    )
    assert model.name == "small"
    assert isinstance(model.contribution, LossAware)
    assert model.get_layer("readout").layer_clipnorm == 2.0
    for layer in model.local_layers:
        assert layer.dropout.rate == 0.35
        assert layer.head.temperature == 3.0


@every_backend
def test_input_normalization():
    x = np.random.default_rng(0).normal(3.0, 5.0, (4, 8, 8, 1))
    normalized = applications.tiny_cnn((8, 8, 1), 2, width_multiplier=0.02)
    plain = applications.tiny_cnn(
        (8, 8, 1), 2, width_multiplier=0.02, input_normalization=False
    )
    plain.set_weights(normalized.get_weights())
    by_hand = x - x.mean(axis=(1, 2, 3), keepdims=True)
    by_hand /= np.sqrt((by_hand**2).mean(axis=(1, 2, 3), keepdims=True) + 1e-5)
    np.testing.assert_allclose(
        plain.predict(by_hand.astype("float32"), verbose=0),
        normalized.predict(x.astype("float32"), verbose=0),
        rtol=1e-4,
        atol=1e-5,
    )


# Predsim's layers have batch normalization.
@pytest.mark.parametrize(
    "method",
    [
        pytest.param(m, marks=[every_backend] if m == "caw" else [])
        for m in METHODS
        if m not in ("cw", "predsim")
    ],
)
def test_maps_of_one_pixel_are_not_normalized_with_any_method(method):
    """Elsewhere the mean of every channel over the map is zero."""
    for shape, strides, pixels in [
        ((3, 3), 2, 4),
        ((2, 1), 2, 1),
        ((1, 2), 1, 2),
        ((2, 1), 1, 2),
        ((1, 1), 1, 1),
    ]:
        build = Builder((*shape, 2), 2, method, 1.0, 0.0, False, (), None, None)
        features = build.conv(build.start, 4, 3, strides)
        model = keras.Model(build.inputs, features)
        x = np.random.default_rng(0).normal(size=(3, *shape, 2))
        y = keras.ops.convert_to_numpy(model(x.astype("float32")))
        assert y[0, ..., 0].size == pixels
        assert y.std() > 0.01
        centered = np.abs(y.mean(axis=(1, 2))).max() < 1e-4
        assert centered == (pixels > 1)


def expect_a_word_on(backend):
    if backend == keras.backend.backend():
        return pytest.warns(UserWarning, match="jit_compile=True")
    return contextlib.nullcontext()


@pytest.mark.parametrize(
    "name, method",
    [
        ("resnet17", "caw"),
        *(("tiny_cnn", method) for method in METHODS if method != "caw"),
        # TensorFlow has a word to say.
        pytest.param(
            *("tiny_cnn", "caw"),
            marks=pytest.mark.only_on("tensorflow", "torch"),
        ),
    ],
)
def test_order_of_the_axes_and_unknown_sizes_change_nothing(name, method):
    make_model = CONVOLUTIONAL[name]
    x = np.random.default_rng(0).normal(size=(2, 8, 9, 3)).astype("float32")
    model = make_model((8, 9, 3), 2, method, 0.02)
    expected = keras.ops.convert_to_numpy(sum(keras.tree.flatten(model(x))))
    weights = model.get_weights()
    unknown = make_model((None, None, 3), 2, method, 0.02)
    keras.config.set_image_data_format("channels_first")
    with expect_a_word_on("tensorflow"):
        first = make_model((3, 8, 9), 2, method, 0.02)
    models = [(unknown, x), (first, np.moveaxis(x, -1, 1))]
    if keras.backend.backend() == "tensorflow":
        models.pop()  # Not on CPUs, as was said.
    for model, images in models:
        model.set_weights(weights)
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(sum(keras.tree.flatten(model(images)))),
            expected,
            rtol=1e-4,
            atol=1e-5,
        )


def test_mlp_sizes():
    with keras.StatelessScope():
        model = applications.mlp((28, 28, 1), 10)
        shapes = [layer.kernel.shape for layer in model.local_layers]
    assert shapes == [(784, 2000), (2000, 2000), (2000, 2000)]
    assert all(isinstance(layer, CAWDense) for layer in model.local_layers)
    narrow = applications.mlp((16,), 3, units=(30, 12), width_multiplier=0.5)
    assert [layer.kernel.shape[1] for layer in narrow.local_layers] == [15, 6]


# === Bad input ===


@pytest.mark.parametrize("name", [*CONVOLUTIONAL, "mlp"])
def test_unknown_method_lists_the_known_ones(name):
    make_model = getattr(applications, name)
    with pytest.raises(ValueError) as error:
        make_model((8, 8, 1), 2, method="forward")
    for method in (*METHODS, "Received: method='forward'"):
        assert method in str(error.value)
    assert {"caw", "cw", "projection", "backprop"} <= set(METHODS)


def test_cw_has_no_dense_layers():
    with pytest.raises(ValueError, match="method='cw' has no dense layers"):
        applications.mlp((4,), 2, method="cw")


@pytest.mark.parametrize(
    "name, smallest", [("tiny_cnn", 6), ("vgg14", 8), ("resnet17", 8)]
)
def test_too_small_input(name, smallest):
    make_model = CONVOLUTIONAL[name]
    for shape in ((smallest - 1, 32, 3), (32, smallest - 1, 3)):
        with pytest.raises(
            ValueError, match=f"at least {smallest} x {smallest} pixels"
        ):
            make_model(shape, 2, width_multiplier=0.02)
    with keras.StatelessScope():
        model = make_model((smallest, smallest, 3), 2, width_multiplier=0.02)
        for layer in model.local_layers:
            assert min(layer.output[0].shape[1:3]) >= 1


def test_images_in_another_order_or_of_unknown_channels():
    for shape, message in [
        ((3, 32, 32), r"shape \(height, width, channels\), as .*transpose"),
        ((32, 32, None), "known number of channels. Received: .*None"),
        ((32, 32), r"must be images .*Received: samples of shape \(32, 32\)"),
        ((None, 3, 3), "at least 6 x 6 pixels"),
    ]:
        with pytest.raises(ValueError, match=message):
            applications.tiny_cnn(shape, 2)
    keras.config.set_image_data_format("channels_first")
    with pytest.raises(
        ValueError, match=r"\(channels, height, width\).*'channels_first'"
    ):
        applications.tiny_cnn((32, 32, 3), 2)
    with pytest.raises(ValueError, match=r"known size.*\(None, 3\)"):
        applications.mlp((None, 3), 2)


@pytest.mark.parametrize("width_multiplier", [0, -1.0])
def test_width_that_is_not_positive(width_multiplier):
    with pytest.raises(ValueError, match="width_multiplier"):
        applications.tiny_cnn((8, 8, 1), 2, width_multiplier=width_multiplier)
