"""Maps are worked on in the order of axes that the backend computes in."""

import keras
import numpy as np
import pytest
from reference.backend import gradients

from keras_ff.layers.average_pooling2d import AveragePooling2D
from keras_ff.layers.conv2d import Conv2D
from keras_ff.layers.grid_average2d import GridAverage2D
from keras_ff.layers.max_pooling2d import MaxPooling2D

MAPS = np.random.default_rng(0).normal(size=(4, 9, 8, 3)).astype("float32")
PAIRS = [
    (Conv2D, keras.layers.Conv2D, dict(filters=5, kernel_size=3)),
    (
        Conv2D,
        keras.layers.Conv2D,
        dict(filters=5, kernel_size=2, padding="same", strides=2),
    ),
    (Conv2D, keras.layers.Conv2D, dict(filters=6, kernel_size=3, groups=3)),
    (
        Conv2D,
        keras.layers.Conv2D,
        dict(filters=5, kernel_size=2, dilation_rate=2),
    ),
    (MaxPooling2D, keras.layers.MaxPooling2D, dict(pool_size=2)),
    (
        MaxPooling2D,
        keras.layers.MaxPooling2D,
        dict(pool_size=3, strides=2, padding="same"),
    ),
    (
        AveragePooling2D,
        keras.layers.AveragePooling2D,
        dict(pool_size=(3, 2), strides=1),
    ),
    (
        AveragePooling2D,
        keras.layers.AveragePooling2D,
        dict(pool_size=2, padding="same"),
    ),
]


@pytest.mark.parametrize("ours,kerass,arguments", PAIRS)
def test_equals_keras(ours, kerass, arguments):
    layer, reference = ours(**arguments), kerass(**arguments)
    results = []
    for each in (layer, reference):
        each.build(MAPS.shape)
        each.set_weights(
            [
                np.cos(np.arange(w.size).reshape(w.shape))
                for w in each.get_weights()
            ]
        )
        maps = keras.Variable(MAPS)

        def loss(each=each, maps=maps):
            return keras.ops.sum(keras.ops.sin(each(maps)))

        found = gradients(loss, [maps, *each.trainable_variables])
        results.append([keras.ops.convert_to_numpy(each(MAPS)), *found])
    for value, expected in zip(*results, strict=True):
        np.testing.assert_allclose(value, expected, atol=2e-5)
    copy = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(layer)
    )
    assert type(copy) is ours
    assert layer(MAPS).shape == reference.compute_output_shape(MAPS.shape)


@pytest.mark.only_on("torch")
@pytest.mark.parametrize(
    "layer",
    [
        Conv2D(8, 3, padding="same"),
        MaxPooling2D(2),
        AveragePooling2D(2),
        GridAverage2D(2),
    ],
    ids=lambda layer: layer.name,
)
def test_no_map_is_copied(layer):
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    maps = torch.ones(2, 16, 16, 8, requires_grad=True)
    layer(maps)
    copied = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            name = function.overloadpacket.__name__
            if name in ("clone", "copy_", "_to_copy", "contiguous"):
                copied.append(tuple(args[0].shape))
            return function(*args, **(kwargs or {}))

    with Watch():
        layer(maps).sum().backward()
    # Kernels may be, they are small.
    assert not [shape for shape in copied if shape[:1] == (2,)]
