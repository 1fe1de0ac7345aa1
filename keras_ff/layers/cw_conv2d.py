import keras

from keras_ff.layers.channel_groups import ChannelGroups
from keras_ff.layers.local_conv2d import LocalConv2D


@keras.saving.register_keras_serializable(package="keras_ff")
class CWConv2D(LocalConv2D):
    """CW-Conv (DeeperForward): a local convolution with one group a class.

    ```
    y = dropout(relu(conv(stop_gradient(x))))
    goodness_k = mean of y over the k-th block of channels and the map
    features = group_norm(y, groups=num_classes)
    ```

    Args:
        filters: int, the number of channels, a multiple of `num_classes`.
        kernel_size: int or pair of ints.
        num_classes: int, at least 2.
        dropout: float in `[0, 1)`, element-wise, before the goodness.
            Defaults to `0.2`, as published.
        normalization: `"instance"`, `"group"`, `"layer"`, `"rms"` or `None`.
            Defaults to `"group"`, as published.
        kernel_initializer: defaults to normal with variance
            `2 / fan_out`, as published.
        **kwargs: the other arguments of `keras.layers.Conv2D` and of
            `keras.layers.Layer`.

    Call arguments:
        inputs: image tensor.
        training: bool, whether dropout is active.

    Input shape:
        `(batch, height, width, channels)`.

    Output shape:
        A pair `(features, goodness)`: `(batch, new_height, new_width,
        filters)`, and `(batch, num_classes)` in float32.

    Raises:
        ValueError: if `filters` is not a multiple of `num_classes`.

    Example:

    ```python
    layer = keras_ff.layers.CWConv2D(100, 3, num_classes=10, padding="same")
    features, goodness = layer(images)
    ```

    Reference:

    - [Sun et al., 2025](https://openreview.net/forum?id=kOYnXVQCtA)
    """

    def __init__(
        self,
        filters,
        kernel_size,
        num_classes,
        dropout=0.2,
        normalization="group",
        kernel_initializer=None,
        **kwargs,
    ):
        head = ChannelGroups(
            num_classes,
            data_format=kwargs.get("data_format"),
            dtype=kwargs.get("dtype"),
            name="channel_groups",
        )
        if filters % num_classes:
            raise ValueError(
                "`filters` must be a multiple of `num_classes`: every class "
                "has its own group of channels. "
                f"Received: filters={filters}, num_classes={num_classes}"
            )
        super().__init__(
            filters,
            kernel_size,
            goodness=head,
            dropout=dropout,
            normalization=normalization,
            kernel_initializer=kernel_initializer
            or keras.initializers.VarianceScaling(
                2.0, mode="fan_out", distribution="untruncated_normal"
            ),
            **kwargs,
        )

    def get_config(self):
        config = super().get_config()
        config["num_classes"] = self.head.num_classes
        return config
