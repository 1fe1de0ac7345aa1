import math

import keras
from keras import ops

from keras_ff.layers.composite_layer import serialize_part
from keras_ff.layers.goodness_head import score_dtype
from keras_ff.layers.masks import along
from keras_ff.layers.masks import masked_mean

NORMALIZATIONS = ("instance", "group", "layer", "rms")


def get_normalization(
    identifier, num_classes, dtype, data_format=None, name=None
):
    """Makes the layer from an activation to the features it hands on.

    None of them has weights; statistics are float32, epsilon is 1e-5.

    Args:
        identifier: `"instance"` (each channel over the map), `"group"` (as
            many groups of channels as classes), `"layer"` (all of a sample),
            `"rms"` (a sample divided by its root mean square, as in the
            original Forward-Forward), a Keras layer or its config, or `None`.
        num_classes: int, the number of groups of `"group"`.
        dtype: dtype policy of the layer.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to
            Keras's setting.
        name: string, the name of a layer that is made.

    Returns:
        A Keras layer, or `None`.

    Raises:
        ValueError: if the identifier is unknown, or `"group"` is asked for
            without a number of classes.
    """
    if isinstance(identifier, dict):
        return keras.saving.deserialize_keras_object(identifier)
    if identifier is None or isinstance(identifier, keras.Layer):
        return identifier
    if identifier == "rms":
        return RMSFeatures(
            channel_axis=channel_axis(data_format), dtype=dtype, name=name
        )
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
        groups[identifier],
        channel_axis(data_format),
        dtype=dtype,
        name=name,
    )


def serialize_normalization(owner):
    """The argument `normalization` that a local layer was made with."""
    argument = owner._normalization_argument
    if argument is None or isinstance(argument, str):
        return argument
    return serialize_part(owner.normalization, owner)


def channel_axis(data_format=None):
    data_format = data_format or keras.config.image_data_format()
    return 1 if data_format == "channels_first" else -1


def _shown(x, mask, channel_axis):
    """Where a map is no padding, in as many axes, or `None`."""
    if mask is None or len(x.shape) < 3:
        return None
    return along(x, mask, 2 if channel_axis == 1 else 1)


class FeatureNormalization(keras.layers.Layer):
    """Base class of normalizations without weights.

    Statistics are float32, or float64 under a policy of float64, and of the
    steps that no mask hides.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs, mask=None):
        x = ops.cast(inputs, score_dtype(self))
        return ops.cast(self.normalize(x, mask), self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape


@keras.saving.register_keras_serializable(package="keras_ff")
class RMSFeatures(FeatureNormalization):
    """Divides each sample by its root mean square.

    Args:
        axis: int, the axis of the mean. Defaults to `None`, all axes of a
            sample.
        channel_axis: int, the axis of the channels. Defaults to `-1`.
        **kwargs: base layer keyword arguments.
    """

    def __init__(self, axis=None, channel_axis=-1, **kwargs):
        super().__init__(**kwargs)
        self.axis = axis
        self.channel_axis = channel_axis

    def normalize(self, x, mask):
        axis, shown = self.axis, None
        if axis is None:
            axis = tuple(range(1, len(x.shape)))
            shown = _shown(x, mask, self.channel_axis)
        mean_square = masked_mean(ops.square(x), shown, axis, keepdims=True)
        return x * ops.rsqrt(mean_square + 1e-5)

    def get_config(self):
        config = super().get_config()
        config.update(axis=self.axis, channel_axis=self.channel_axis)
        return config


@keras.saving.register_keras_serializable(package="keras_ff")
class GroupFeatures(FeatureNormalization):
    """Standardizes each group of channels of a sample.

    A group that is a single number would become zero: on a map of one pixel
    the layer then passes its input through, without a map it is refused.

    `keras.layers.GroupNormalization` takes the variance from
    `keras.ops.moments`, which on PyTorch is `E[x^2] - E[x]^2`: inexact for a
    mean far from zero, and NaN for a constant map.

    Args:
        groups: int, the number of groups; -1 is a group for every channel.
        axis: int, the axis of the channels.
        **kwargs: base layer keyword arguments.

    Raises:
        ValueError: if the groups do not divide the channels, or there is no
            map and every group is a single number.
    """

    def __init__(self, groups, axis, **kwargs):
        super().__init__(**kwargs)
        self.groups = groups
        self.axis = axis
        self.centers_channels = False
        self._alone = False
        self._single = False
        self._may_be_single = False

    def build(self, input_shape):
        channels = input_shape[self.axis]
        if self.groups != -1 and channels % self.groups:
            raise ValueError(
                "The number of channels must be a multiple of the number of "
                f"groups. Received: {channels} channels, {self.groups} groups"
            )
        axis = self.axis % len(input_shape)
        spatial = [*input_shape[1:axis], *input_shape[axis + 1 :]]
        alone = self.groups in (-1, channels)
        self._alone = alone
        self._single = alone and all(size == 1 for size in spatial)
        self._may_be_single = alone and {*spatial} <= {1, None}
        # Whether the mean of every channel over the map is zero.
        self.centers_channels = alone and not self._single
        if self._single and not spatial:
            raise ValueError(
                "Normalization would make every unit zero, because each is a "
                "group by itself. Use normalization='layer', 'rms' or None, "
                f"or more units than groups. Received: {channels} units, "
                f"{'as many' if self.groups == -1 else self.groups} groups"
            )

    def normalize(self, inputs, mask):
        if self._single:
            return inputs
        x, shape = inputs, ops.shape(inputs)
        axis = self.axis % len(shape)
        shown = _shown(x, mask, self.axis)
        if not self._alone:
            split = (self.groups, shape[axis] // self.groups)
            x = ops.reshape(x, (-1, *shape[1:axis], *split, *shape[axis + 1 :]))
            if shown is not None:
                shown = ops.expand_dims(shown, axis)
        axes = [i for i in range(1, len(x.shape)) if i != axis]
        x = x - masked_mean(x, shown, axes, keepdims=True)
        variance = masked_mean(ops.square(x), shown, axes, keepdims=True)
        normalized = ops.reshape(x * ops.rsqrt(variance + 1e-5), shape)
        if self._alone and shown is not None:
            all_shown = ops.broadcast_to(shown, ops.shape(x))
            number = ops.sum(ops.cast(all_shown, "int32"), axes, keepdims=True)
            return ops.where(ops.equal(number, 1), inputs, normalized)
        if self._may_be_single:
            size = math.prod(
                shape[i] for i in range(1, len(shape)) if i != axis
            )
            return ops.where(ops.equal(size, 1), inputs, normalized)
        return normalized

    def get_config(self):
        config = super().get_config()
        config.update(groups=self.groups, axis=self.axis)
        return config
