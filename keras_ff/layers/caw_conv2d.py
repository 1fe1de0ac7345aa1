import keras

from keras_ff.layers.caw_conv import CAWConv
from keras_ff.layers.conv2d import Conv2D


@keras.saving.register_keras_serializable(package="keras_ff")
class CAWConv2D(CAWConv):
    """CAW-Conv: a local convolution whose channels are assigned to classes.

    ```
    y = dropout(relu(conv(stop_gradient(x))))
    goodness = (a mean(y) + b max(y) - c min(y)) @ softmax(W / T)
    features = normalization(y)
    ```

    A convolution, a `ChannelClassAssignment` head and a normalization put
    together; `layer.kernel`, `layer.assignment` (`W`) and
    `layer.log_temperature` can be read and set.

    Args:
        filters: int, the number of channels.
        kernel_size: int or pair of ints.
        num_classes: int, at least 2. It need not divide `filters`.
        dropout: float in `[0, 1)`, element-wise, before the goodness.
            Defaults to `0.1`, as published.
        normalization: `"instance"`, `"group"` (as many groups as classes),
            `"layer"`, `"rms"`, a Keras layer without trainable weights, or
            `None`. Defaults to `"instance"`, as published; it is left out
            where the map is one pixel.
        kernel_initializer: defaults to uniform within
            `1 / sqrt(fan_in)`, as published.
        pooling: coefficients of mean, max and min. Defaults to
            `(0.94, 0.06, 0.05)`.
        temperature: float, at the start. Defaults to `10.0`.
        learnable_temperature: bool. Defaults to `True`.
        temperature_decay: float, per epoch. Defaults to `0.995`.
        temperature_range: bounds. Defaults to `(0.1, 100.0)`.
        assignment_initializer: defaults to 0.5 everywhere.
        learnable_assignment: bool. Defaults to `True`.
        assignment_regularizers: a regularizer of the assignment or a list,
            `None`, or `"published"` (the default) for
            `[AssignmentEntropy(1e-2), AssignmentOrthogonality(1e-3)]`.
        activation: defaults to `"relu"`.
        use_bias: bool. Defaults to `False`.
        strides, padding, data_format, dilation_rate, groups,
            bias_initializer, kernel_regularizer, bias_regularizer,
            activity_regularizer, kernel_constraint, bias_constraint: as in
            `keras.layers.Conv2D`.
        objectives: as in `LocalLayer`.
        **kwargs: arguments of `keras.layers.Layer` (`name`, `dtype`,
            `trainable`).

    Call arguments:
        inputs: image tensor.
        training: bool, whether dropout is active.

    Input shape:
        `(batch, height, width, channels)`.

    Output shape:
        A pair `(features, goodness)`: `(batch, new_height, new_width,
        filters)`, and `(batch, num_classes)` in float32.

    Raises:
        ValueError: if an argument is out of range.

    Example:

    ```python
    layer = keras_ff.layers.CAWConv2D(100, 5, num_classes=10, padding="same")
    features, goodness = layer(images)
    ```

    Reference:

    - [Ghader et al., 2026](https://arxiv.org/abs/2606.09928), Eq. 7 and the
      released code
    """

    operation_class = Conv2D
