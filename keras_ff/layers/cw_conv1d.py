import keras

from keras_ff.layers.conv1d import Conv1D
from keras_ff.layers.cw_conv import CWConv


@keras.saving.register_keras_serializable(package="keras_ff")
class CWConv1D(CWConv):
    """CW-Conv for sequences: one group of channels a class.

    ```
    y = dropout(relu(conv(stop_gradient(x))))
    goodness_k = mean of y over the k-th block of channels and the steps
    features = group_norm(y, groups=num_classes)
    ```

    Steps that Keras's mask hides count as zeros, as do those beyond the ends
    of a sequence; they are in no mean and no normalization.

    Args:
        filters: int, the number of channels, a multiple of `num_classes`.
        kernel_size: int, the number of steps that a kernel sees.
        num_classes: int, at least 2.
        dropout, normalization, kernel_initializer: as in `CWConv2D`.
        padding: as in `keras.layers.Conv1D`; may be `"causal"`.
        activation, use_bias, strides, data_format, dilation_rate, groups,
            bias_initializer, kernel_regularizer, bias_regularizer,
            activity_regularizer, kernel_constraint, bias_constraint,
            objectives, **kwargs: as in `CAWConv2D`.

    Call arguments:
        inputs: tensor of sequences.
        training: bool, whether dropout is active.

    Input shape:
        `(batch, steps, channels)`.

    Output shape:
        A pair `(features, goodness)`: `(batch, new_steps, filters)`, and
        `(batch, num_classes)` in float32.

    Raises:
        ValueError: if `filters` is not a multiple of `num_classes`, or masked
            sequences meet `padding="same"` with strides.

    Example:

    ```python
    layer = keras_ff.layers.CWConv1D(90, 5, num_classes=9, padding="causal")
    features, goodness = layer(sequences)
    ```

    Reference:

    - [Sun et al., 2025](https://openreview.net/forum?id=kOYnXVQCtA), for
      images
    """

    operation_class = Conv1D
