import keras

from keras_ff.checks import check_num_classes
from keras_ff.layers import CAWConv2D
from keras_ff.layers import CAWDense
from keras_ff.layers import CWConv2D
from keras_ff.layers import GoodnessProjection
from keras_ff.layers import LocalBlock
from keras_ff.layers import PrototypeConv2D
from keras_ff.layers import PrototypeDense
from keras_ff.layers.normalization import get_normalization
from keras_ff.models import DeepSupervisionModel
from keras_ff.models import ForwardOnlyModel

# The published dropout of each method, where there is one.
DROPOUT = {
    "caw": 0.1,
    "cw": 0.2,
    "prototype": 0.1,
    "projection": 0.1,
    "deep_supervision": 0.1,
    "backprop": 0.1,
}
METHODS = tuple(DROPOUT)
CONVOLUTIONS = {
    "caw": CAWConv2D,
    "cw": CWConv2D,
    "prototype": PrototypeConv2D,
}
DENSE = {"caw": CAWDense, "prototype": PrototypeDense}


class Builder:
    """Writes an architecture down once for every method.

    An architecture asks for `conv` and `dense` layers and `finish`es; what a
    layer is depends on the method.

    Args:
        input_shape: shape of one sample.
        num_classes: int.
        method: one of `METHODS`.
        width_multiplier: float, scales every width, rounded to a multiple of
            `num_classes`. Widths below half a channel a class are rounded to
            whole channels, with `"cw"` to one channel a class.
        dropout: float, or `None` for the method's default.
        input_normalization: bool, whether each sample is first normalised
            over all its values, as published.
        preprocessing: Keras layer without trainable weights, or a list of
            them, that the input goes through first (augmentation,
            normalisation); see `keras_ff.datasets.preprocessing`.
        model_options: keyword arguments of the model (`contribution`,
            `layer_clipnorm`, `layer_metrics`, `name`). With `"backprop"` and
            `"deep_supervision"` only `name` has a meaning.
        layer_options: keyword arguments of every local layer.
    """

    def __init__(
        self,
        input_shape,
        num_classes,
        method="caw",
        width_multiplier=1.0,
        dropout=None,
        input_normalization=True,
        preprocessing=(),
        model_options=None,
        layer_options=None,
    ):
        if method not in METHODS:
            raise ValueError(
                f"`method` must be one of {METHODS}. "
                f"Received: method={method!r}"
            )
        if width_multiplier <= 0:
            raise ValueError(
                "`width_multiplier` must be positive. Received: "
                f"width_multiplier={width_multiplier}"
            )
        self.method = method
        self.num_classes = check_num_classes(num_classes)
        self.width_multiplier = width_multiplier
        self.dropout = DROPOUT[method] if dropout is None else dropout
        self.model_options = dict(model_options or {})
        self.layer_options = dict(layer_options or {})
        self.goodness = []
        self.inputs = keras.Input(input_shape)
        self.start = self.inputs
        for layer in keras.tree.flatten(preprocessing):
            self.start = layer(self.start)
        if input_normalization:
            axes = list(range(1, len(self.start.shape)))
            self.start = keras.layers.LayerNormalization(
                axis=axes, center=False, scale=False, epsilon=1e-5
            )(self.start)

    def check_size(self, pixels):
        """Refuses images smaller than this."""
        if min(self.start.shape[1:3]) < pixels:
            raise ValueError(
                f"The input must be at least {pixels} x {pixels} pixels. "
                f"Received: images of shape {self.start.shape[1:]}"
            )

    def width(self, channels):
        width = channels * self.width_multiplier
        per_class = round(width / self.num_classes)
        if per_class == 0 and self.method != "cw":
            return max(1, round(width))
        return max(1, per_class) * self.num_classes

    def conv(self, x, channels, kernel_size, strides=1, doublings=0, name=None):
        """A convolution without bias, ReLU, dropout and normalization.

        `doublings` double the width after its rounding, so that it matches
        concatenated features.
        """
        arguments = dict(
            filters=self.width(channels) * 2**doublings,
            kernel_size=kernel_size,
            strides=strides,
            padding="same",
        )
        if self.method in CONVOLUTIONS:
            layer = CONVOLUTIONS[self.method](
                num_classes=self.num_classes,
                dropout=self.dropout,
                name=name,
                **arguments,
                **self.layer_options,
            )
            return self._local(layer, x)
        layers = [
            keras.layers.Conv2D(
                activation="relu",
                use_bias=False,
                kernel_initializer="he_normal",
                **arguments,
            ),
            keras.layers.Dropout(self.dropout),
        ]
        # As in `CAWConv2D`, not on maps of one pixel.
        normalization = "instance" if x.shape[1] // strides > 1 else None
        return self._block(layers, normalization, x, name)

    def dense(self, x, units, name=None):
        """A dense layer without bias, ReLU, dropout and normalization."""
        if self.method in DENSE:
            layer = DENSE[self.method](
                self.width(units),
                self.num_classes,
                dropout=self.dropout,
                name=name,
                **self.layer_options,
            )
            return self._local(layer, x)
        if self.method == "cw":
            raise ValueError(
                "method='cw' is defined for convolutions only. Use "
                "method='caw', 'prototype' or 'projection' for dense layers."
            )
        layers = [
            keras.layers.Dense(
                self.width(units),
                activation="relu",
                use_bias=False,
                kernel_initializer="he_normal",
            ),
            keras.layers.Dropout(self.dropout),
        ]
        return self._block(layers, "layer", x, name)

    def _local(self, layer, x):
        features, goodness = layer(x)
        self.goodness.append(goodness)
        return features

    def _block(self, layers, normalization, x, name):
        if self.method in ("backprop", "deep_supervision"):
            for layer in layers:
                x = layer(x)
            # The head sees it as the local heads do: not yet normalised. The
            # mean of an instance-normalised map would be zero.
            self.activation = x
            if self.method == "deep_supervision":
                head = GoodnessProjection(self.num_classes)
                self.goodness.append(head(x))
            if normalization is None:
                return x
            return get_normalization(normalization, self.num_classes, None)(x)
        block = LocalBlock(
            layers,
            GoodnessProjection(self.num_classes),
            normalization,
            name=name,
            **self.layer_options,
        )
        return self._local(block, x)

    def finish(self):
        """The model; with backpropagation the last layer gets a head."""
        name = self.model_options.get("name")
        if self.method == "deep_supervision":
            return DeepSupervisionModel(self.inputs, self.goodness, name=name)
        if self.method != "backprop":
            return ForwardOnlyModel(
                self.inputs, self.goodness, **self.model_options
            )
        x = self.activation
        if len(x.shape) == 4:
            x = keras.layers.GlobalAveragePooling2D()(x)
        logits = keras.layers.Dense(self.num_classes, dtype="float32")(x)
        return keras.Model(self.inputs, logits, name=name)
