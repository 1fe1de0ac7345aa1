"""What a copy of a local layer must not forget."""

import copy
import warnings

import keras
import numpy as np
import pytest
from reference.arrays import normal
from reference.arrays import numpy
from reference.arrays import perturb

from keras_ff import layers

once = pytest.mark.only_on("torch")
X = normal((4, 5), 1)


def from_config(model, _):
    return type(model).from_config(model.get_config())


def load(model, folder):
    model.save(folder / "model.keras")
    return keras.saving.load_model(folder / "model.keras")


WAYS = {
    "from_config": from_config,
    "load": load,
    "clone_model": lambda model, _: keras.models.clone_model(model),
    "deepcopy": lambda model, _: copy.deepcopy(model),
}
# Files are written and read by the backend; all else is Python.
each_way = pytest.mark.parametrize(
    "way",
    [pytest.param(way, marks=[] if way == "load" else [once]) for way in WAYS],
)


def caw():
    return layers.CAWDense(6, 3, name="local")


def prototype():
    return layers.PrototypeDense(6, 3, embedding_size=4, name="local")


def projected():
    return layers.LocalBlock(
        [keras.layers.Dense(6, name="a"), keras.layers.Dense(6, name="b")],
        layers.GoodnessProjection(3),
        name="local",
    )


def of_a_sequential():
    inner = keras.Sequential(
        [keras.layers.Dense(6, name="a"), keras.layers.Dense(6, name="b")]
    )
    return layers.LocalBlock(inner, layers.ChannelGroups(3), name="local")


def of_built_layers():
    dense = keras.layers.Dense(6, name="a")
    dense.build((None, 5))
    inputs = keras.Input((6,))
    graph = keras.Model(inputs, keras.layers.Dense(6, name="b")(inputs))
    return layers.LocalBlock(
        [dense, graph], layers.ChannelGroups(3), name="local"
    )


def of_wrappers():
    lstm = keras.layers.LSTM(3, name="c", return_sequences=True)
    return layers.LocalBlock(
        [
            keras.layers.Reshape((5, 1)),
            keras.layers.Bidirectional(lstm, name="b"),
        ],
        layers.HypersphericalPrototypes(
            3, embedding=keras.layers.Dense(4, name="e")
        ),
        keras.layers.BatchNormalization(center=False, scale=False),
        name="local",
    )


def of_auxiliary_layers():
    return layers.LocalBlock(
        keras.layers.Dense(6, name="a"),
        layers.AuxiliaryHead(
            [keras.layers.Dense(4, name="x")],
            layers.GoodnessProjection(3),
            scale=2.0,
        ),
        name="local",
    )


BLOCKS = (
    of_auxiliary_layers,
    projected,
    of_a_sequential,
    of_built_layers,
    of_wrappers,
)


def model_of(layer):
    inputs = keras.Input((5,))
    return keras.Model(inputs, layer(inputs))


def facts(model):
    return sorted((v.path, v.trainable) for v in model.weights)


@each_way
@pytest.mark.parametrize("make", (caw, prototype, *BLOCKS))
def test_paths_of_variables(make, way, tmp_path):
    model = model_of(make())
    paths = [v.path for v in model.weights]
    assert len(set(paths)) == len(paths)
    assert facts(WAYS[way](model, tmp_path)) == facts(model)


def freeze_head(layer):
    layer.head.trainable = False


def freeze_kernel(layer):
    layer.operation.trainable = False


def freeze_all(layer):
    layer.trainable = False


def freeze_projection(layer):
    layer.head.projection.trainable = False


def freeze_embedding(layer):
    layer.head.embedding.trainable = False


def freeze_auxiliary(layer):
    layer.head.layers[0].trainable = False
    layer.head.head.projection.trainable = False


def freeze_inner(layer):
    layer.layers[0].layers[-1].trainable = False


def freeze_wrapped(layer):
    layer.layers[1].backward_layer.trainable = False


def add_lora(layer):
    for part in layer._flatten_layers():
        if isinstance(part, keras.layers.Dense):
            part.enable_lora(2)


CHANGES = (
    (caw, freeze_head),
    (caw, freeze_kernel),
    (caw, freeze_all),
    (caw, add_lora),
    (prototype, freeze_embedding),
    (of_auxiliary_layers, freeze_auxiliary),
    (of_auxiliary_layers, freeze_head),
    (projected, freeze_head),
    (projected, freeze_projection),
    (projected, freeze_all),
    (projected, add_lora),
    (of_a_sequential, freeze_inner),
    (of_wrappers, freeze_embedding),
    (of_wrappers, freeze_wrapped),
)


@each_way
@pytest.mark.parametrize("make, change", CHANGES)
def test_what_was_done_to_the_parts(make, change, way, tmp_path):
    model = model_of(make())
    before = facts(model)
    change(model.get_layer("local"))
    assert facts(model) != before
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*this is lost")
        other = WAYS[way](model, tmp_path)
    assert facts(other) == facts(model)
    # A copy of the copy, and all of it is undone as it would be here.
    assert facts(WAYS[way](other, tmp_path)) == facts(model)
    for each in (model, other):
        each.get_layer("local").trainable = True
    assert facts(other) == facts(model)


@each_way
@pytest.mark.parametrize("make", (caw, projected))
def test_quantized(make, way, tmp_path):
    model = model_of(make())
    perturb(model)
    model.quantize("int8")
    other = WAYS[way](model, tmp_path)
    assert facts(other) == facts(model)
    modes = [part.quantization_mode for part in other._flatten_layers()]
    assert modes.count("int8") == (1 if make is caw else 3)
    if way == "load":
        for a, b in zip(model(X), other(X)):
            np.testing.assert_array_equal(numpy(a), numpy(b))


def made_frozen():
    return layers.CAWDense(6, 3, trainable=False)


def of_made_frozen_parts():
    return layers.LocalBlock(
        keras.layers.Dense(6, trainable=False),
        layers.GoodnessProjection(3, trainable=False),
    )


@pytest.mark.parametrize("make", (made_frozen, of_made_frozen_parts))
def test_made_frozen(make):
    """Keras would train the parts of a layer that was made frozen."""
    model = model_of(make())
    assert model.trainable_variables == []
    # On TensorFlow nothing happens where the value stays the same.
    model.trainable = False
    model.trainable = True
    assert len(model.trainable_variables) == 3


def test_a_part_that_is_not_found_again():
    class Inner(keras.layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            # Without a name of its own it is another in every copy.
            self.dense = keras.layers.Dense(6)

        def build(self, shape):
            self.dense.build(shape)

        def call(self, inputs):
            return self.dense(inputs)

        def compute_output_shape(self, shape):
            return self.dense.compute_output_shape(shape)

    block = layers.LocalBlock(Inner(), layers.ChannelGroups(3))
    block.layers[0].dense.trainable = False
    with keras.saving.custom_object_scope({"Inner": Inner}):
        with pytest.warns(UserWarning, match="this is lost.*trainable"):
            layers.LocalBlock.from_config(block.get_config())
