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
    return keras.layers.GroupNormalization(
        groups=groups[identifier],
        axis=channel_axis(data_format),
        epsilon=1e-5,
        center=False,
        scale=False,
        dtype=dtype,
    )


def channel_axis(data_format=None):
    data_format = data_format or keras.config.image_data_format()
    return 1 if data_format == "channels_first" else -1


class RMSFeatures(keras.layers.Layer):
    """Divides each sample by its root mean square over all its axes."""

    def call(self, inputs):
        x = ops.cast(inputs, "float32")
        axes = tuple(range(1, len(x.shape)))
        mean_square = ops.mean(ops.square(x), axis=axes, keepdims=True)
        return ops.cast(x * ops.rsqrt(mean_square + 1e-5), inputs.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape
