import keras

from keras_ff.layers.conv2d import Conv2D
from keras_ff.layers.cw_conv import CWConv


@keras.saving.register_keras_serializable(package="keras_ff")
class CWConv2D(CWConv):
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
        activation, use_bias, strides, padding, data_format, dilation_rate,
            groups, bias_initializer, kernel_regularizer, bias_regularizer,
            activity_regularizer, kernel_constraint, bias_constraint,
            objectives, **kwargs: as in `CAWConv2D`.

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
