import keras
from keras import ops

NORMALIZATIONS = ("instance", "group", "layer", "rms")


def get_normalization(identifier, num_classes, dtype, data_format=None):
    """Makes the layer from an activation to the features it hands on.

    None of them has weights; statistics are float32, epsilon is 1e-5.

    Args:
        identifier: `"instance"` (each channel over the map), `"group"` (as
            many groups of channels as classes), `"layer"` (all of a sample),
            `"rms"` (a sample divided by its root mean square, as in the
            original Forward-Forward), a Keras layer, or `None`.
        num_classes: int, the number of groups of `"group"`.
        dtype: dtype policy of the layer.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to
            Keras's setting.

    Returns:
        A Keras layer, or `None`.

    Raises:
        ValueError: if the identifier is unknown, or `"group"` is asked for
            without a number of classes.
    """
    if identifier is None or isinstance(identifier, keras.Layer):
        return identifier
    if identifier == "rms":
        return RMSFeatures(dtype=dtype)
    groups = {"instance": -1, "group": num_classes, "layer": 1}
    if identifier not in NORMALIZATIONS:
        raise ValueError(
            f"`normalization` must be one of {NORMALIZATIONS}, a Keras layer "
            f"or None. Received: normalization={identifier!r}"
        )
    if groups[identifier] is None:
        raise ValueError(
            "`normalization='group'` needs a goodness head with "
            "`num_classes`. Give a keras.layers.GroupNormalization instead."
        )
    return GroupFeatures(
        groups[identifier], channel_axis(data_format), dtype=dtype
    )


def channel_axis(data_format=None):
    data_format = data_format or keras.config.image_data_format()
    return 1 if data_format == "channels_first" else -1


@keras.saving.register_keras_serializable(package="keras_ff")
class RMSFeatures(keras.layers.Layer):
    """Divides each sample by its root mean square.

    Args:
        axis: int, the axis of the mean. Defaults to `None`, all axes of a
            sample.
        **kwargs: base layer keyword arguments.
    """

    def __init__(self, axis=None, **kwargs):
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs):
        x = ops.cast(inputs, "float32")
        axis = self.axis
        if axis is None:
            axis = tuple(range(1, len(x.shape)))
        mean_square = ops.mean(ops.square(x), axis=axis, keepdims=True)
        return ops.cast(x * ops.rsqrt(mean_square + 1e-5), inputs.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        config = super().get_config()
        config["axis"] = self.axis
        return config


@keras.saving.register_keras_serializable(package="keras_ff")
class GroupFeatures(keras.layers.Layer):
    """Standardizes each group of channels of a sample, in float32.

    `keras.layers.GroupNormalization` takes the variance from
    `keras.ops.moments`, which on PyTorch is `E[x^2] - E[x]^2`: inexact for a
    mean far from zero, and NaN for a constant map.

    Args:
        groups: int, the number of groups; -1 is a group for every channel.
        axis: int, the axis of the channels.
        **kwargs: base layer keyword arguments.
    """

    def __init__(self, groups, axis, **kwargs):
        super().__init__(**kwargs)
        self.groups = groups
        self.axis = axis

    def build(self, input_shape):
        channels = input_shape[self.axis]
        if self.groups != -1 and channels % self.groups:
            raise ValueError(
                "The number of channels must be a multiple of the number of "
                f"groups. Received: {channels} channels, {self.groups} groups"
            )

    def call(self, inputs):
        x = ops.cast(inputs, "float32")
        shape = ops.shape(x)
        axis = self.axis % len(shape)
        if self.groups != -1:
            split = (self.groups, shape[axis] // self.groups)
            x = ops.reshape(x, (-1, *shape[1:axis], *split, *shape[axis + 1 :]))
        axes = [i for i in range(1, len(x.shape)) if i != axis]
        x = x - ops.mean(x, axis=axes, keepdims=True)
        variance = ops.mean(ops.square(x), axis=axes, keepdims=True)
        x = x * ops.rsqrt(variance + 1e-5)
        return ops.cast(ops.reshape(x, shape), self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        config = super().get_config()
        config.update(groups=self.groups, axis=self.axis)
        return config
