import keras

from keras_ff.checks import check_num_classes
from keras_ff.layers.channel_groups import ChannelGroups
from keras_ff.layers.conv2d import Conv2D
from keras_ff.layers.kernel_layer import KernelLayer


@keras.saving.register_keras_serializable(package="keras_ff")
class CWConv2D(KernelLayer):
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
        normalization: `"instance"`, `"group"`, `"layer"`, `"rms"`, a Keras
            layer without trainable weights, or `None`. Defaults to
            `"group"`, as published.
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

    operation_class = Conv2D
    head_class = ChannelGroups

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
        num_classes = check_num_classes(num_classes)
        if filters % num_classes:
            raise ValueError(
                "`filters` must be a multiple of `num_classes`: every class "
                "has its own group of channels. "
                f"Received: filters={filters}, num_classes={num_classes}"
            )
        super().__init__(
            filters=filters,
            kernel_size=kernel_size,
            num_classes=num_classes,
            dropout=dropout,
            normalization=normalization,
            kernel_initializer=kernel_initializer
            or keras.initializers.VarianceScaling(
                2.0, mode="fan_out", distribution="untruncated_normal"
            ),
            **kwargs,
        )
