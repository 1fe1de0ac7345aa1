import keras

from keras_ff.layers.kernel_layer import KernelLayer


class LocalConv2D(KernelLayer):
    """A convolution, dropout, a goodness head and a normalization.

    What the convolutional local layers share: `features =
    normalization(dropout(activation(conv(x))))`. Not made by users directly:
    `LocalBlock` composes arbitrary layers.

    Args:
        goodness: the head, a Keras layer.
        dropout: float in `[0, 1)`, element-wise, before the head.
        normalization: `"instance"`, `"group"`, `"layer"`, `"rms"` or `None`.
            Instance normalization is left out where the map is one pixel,
            which it would turn to zero.
        **kwargs: arguments of `keras.layers.Conv2D`.
    """

    arguments = (
        "filters",
        "kernel_size",
        "strides",
        "padding",
        "data_format",
        "dilation_rate",
        "groups",
        "activation",
        "use_bias",
        "kernel_initializer",
        "bias_initializer",
        "kernel_regularizer",
        "bias_regularizer",
        "kernel_constraint",
        "bias_constraint",
    )

    def __init__(
        self,
        filters,
        kernel_size,
        goodness,
        dropout,
        normalization,
        activation="relu",
        use_bias=False,
        **kwargs,
    ):
        conv_arguments = self._take_arguments(kwargs)
        super().__init__(**kwargs)
        self.conv = keras.layers.Conv2D(
            filters,
            kernel_size,
            activation=activation,
            use_bias=use_bias,
            dtype=self.dtype_policy,
            name="conv",
            **conv_arguments,
        )
        self._compose(self.conv, goodness, dropout, normalization)

    def build(self, input_shape):
        shape = self.conv.compute_output_shape(input_shape)
        axes = self.head.spatial_axes(shape)
        one_pixel = all(shape[axis] == 1 for axis in axes)
        if self._normalization_argument == "instance" and one_pixel:
            self.normalization = None
        super().build(input_shape)
