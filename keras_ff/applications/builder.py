import warnings

import keras

from keras_ff import methods
from keras_ff.checks import check_fraction
from keras_ff.checks import check_num_classes
from keras_ff.checks import check_number


class Builder:
    """Writes an architecture down once for every method.

    An architecture asks for `conv`, `dense` or `block` layers and `finish`es;
    what a layer is depends on the method. `start` is the first layer's input.

    Args:
        input_shape, num_classes, method, width_multiplier, dropout,
            input_normalization, preprocessing, model_options, layer_options:
            as in `keras_ff.applications`.
    """

    def __init__(
        self,
        input_shape,
        num_classes,
        method,
        width_multiplier,
        dropout,
        input_normalization,
        preprocessing,
        model_options,
        layer_options,
    ):
        check_number("width_multiplier", width_multiplier, positive=True)
        if dropout is not None and check_fraction("dropout", dropout) == 1:
            raise ValueError(
                f"`dropout` must be in [0, 1). Received: dropout={dropout}"
            )
        self.method = methods.get(method)
        self.num_classes = check_num_classes(num_classes)
        self.width_multiplier = width_multiplier
        self.dropout = self.method.dropout if dropout is None else dropout
        self.model_options = dict(model_options or {})
        self.layer_options = dict(layer_options or {})
        self._refuse_unknown(
            "model_options", self.model_options, self.method.model_options
        )
        self._checked = set()
        self.outputs = []
        self.inputs = keras.Input(input_shape)
        self.start = self.inputs
        for layer in keras.tree.flatten(preprocessing):
            self.start = layer(self.start)
        if input_normalization:
            axes = list(range(1, len(self.start.shape)))
            self.start = keras.layers.LayerNormalization(
                axis=axes, center=False, scale=False, epsilon=1e-5
            )(self.start)

    @property
    def channel_axis(self):
        return 1 if _channels_first() else -1

    def size(self, x):
        """Height and width of a map; `None` where they are unknown."""
        return x.shape[2:4] if _channels_first() else x.shape[1:3]

    def check_images(self, pixels):
        """Refuses what is no image, or smaller than this."""
        order = "(height, width, channels)"
        if _channels_first():
            order = "(channels, height, width)"
        shape = self.start.shape[1:]
        known = f"{order}, as Keras's image data format is " + repr(
            keras.config.image_data_format()
        )
        if len(shape) != 3 or self.start.shape[self.channel_axis] is None:
            raise ValueError(
                f"The input must be images of shape {known}, with a known "
                f"number of channels. Received: samples of shape {shape}"
            )
        sizes = [n for n in self.size(self.start) if n is not None]
        if min(sizes, default=pixels) < pixels:
            raise ValueError(
                f"The input must be at least {pixels} x {pixels} pixels, of "
                f"shape {known}. Received: images of shape {shape}. If the "
                "order of the axes is another, transpose the images or call "
                "`keras.config.set_image_data_format`; smaller images can be "
                "enlarged by a `keras.layers.Resizing` in `preprocessing`."
            )
        if (
            _channels_first()
            and keras.backend.backend() == "tensorflow"
            and not keras.distribution.list_devices("gpu")
        ):
            warnings.warn(
                "On CPUs TensorFlow computes 'channels_first' convolutions "
                "only when compiled: `compile(..., jit_compile=True)`. "
                "'channels_last' is faster there.",
                stacklevel=3,
            )

    def width(self, channels):
        return self.method.width(
            channels * self.width_multiplier, self.num_classes
        )

    def conv(self, x, channels, kernel_size, strides=1, doublings=0, name=None):
        """A convolution without bias, ReLU, dropout and normalization.

        `doublings` double the width after its rounding, so that it matches
        concatenated features.
        """
        return self._add(
            "conv",
            x,
            filters=self.width(channels) * 2**doublings,
            kernel_size=kernel_size,
            strides=strides,
            padding="same",
            dropout=self.dropout,
            name=name,
        )

    def dense(self, x, units, name=None):
        """A dense layer without bias, ReLU, dropout and normalization."""
        return self._add(
            "dense",
            x,
            units=self.width(units),
            dropout=self.dropout,
            name=name,
        )

    def block(self, x, layers, head_layers, grid):
        """Any Keras layers, whose head looks through layers of its own.

        Args:
            x: what they get.
            layers: list of Keras layers.
            head_layers: makes the list of the head's.
            grid: int, see `Method.auxiliary_head`.
        """
        self._check_kind("auxiliary_head")

        def head(num_classes):
            layers = head_layers()
            return self.method.auxiliary_head(num_classes, layers, grid)

        return self._add("block", x, layers=layers, head=head)

    def _add(self, kind, x, **arguments):
        if kind not in self._checked:
            self._check_kind(kind)
        make = getattr(self.method, kind)
        options = dict(self.layer_options)
        objectives = self.method.objectives(
            **{
                name: options.pop(name)
                for name in self.method.objective_options() & set(options)
            }
        )
        if objectives:
            arguments["objectives"] = objectives
        layer = make(num_classes=self.num_classes, **{**arguments, **options})
        features, output = layer(x)
        self.outputs.append(output)
        return features

    def _check_kind(self, kind):
        if not self.method.makes(kind):
            able = [n for n in methods.names() if methods.get(n).makes(kind)]
            raise ValueError(
                f"method={self.method.name!r} has no {kind} layers. The "
                f"methods that have are {able}"
            )
        if self.layer_options:
            known = self.method.layer_options(kind)
            self._refuse_unknown("layer_options", self.layer_options, known)
        self._checked.add(kind)

    def _refuse_unknown(self, argument, options, known):
        unknown = sorted(set(options) - set(known))
        if unknown:
            raise ValueError(
                f"`{argument}` of method={self.method.name!r} may hold "
                f"{list(known)}. Received: {unknown}"
            )

    def finish(self):
        return self.method.model(
            self.inputs, self.outputs, **self.model_options
        )


def _channels_first():
    return keras.config.image_data_format() == "channels_first"
