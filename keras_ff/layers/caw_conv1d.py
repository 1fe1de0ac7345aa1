import keras

from keras_ff.layers.caw_conv import CAWConv
from keras_ff.layers.conv1d import Conv1D


@keras.saving.register_keras_serializable(package="keras_ff")
class CAWConv1D(CAWConv):
    """CAW-Conv for sequences: channels are assigned to classes.

    ```
    y = dropout(relu(conv(stop_gradient(x))))
    goodness = (a mean(y) + b max(y) - c min(y)) @ softmax(W / T)
    features = normalization(y)
    ```

    Steps that Keras's mask hides count as zeros, as do those beyond the ends
    of a sequence; they are in no mean, maximum, minimum and normalization.

    Args:
        filters: int, the number of channels.
        kernel_size: int, the number of steps that a kernel sees.
        num_classes: int, at least 2. It need not divide `filters`.
        normalization: as in `CAWConv2D`; `"instance"` is each channel over
            the steps.
        dropout, kernel_initializer, pooling, temperature,
            learnable_temperature, temperature_decay, temperature_range,
            assignment_initializer, learnable_assignment,
            assignment_regularizers: as in `CAWConv2D`.
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
        ValueError: if an argument is out of range, or masked sequences meet
            `padding="same"` with strides.

    Example:

    ```python
    model = keras_ff.models.ForwardOnlyModel([
        keras.Input((None, 12)),
        keras.layers.Masking(),
        keras_ff.layers.CAWConv1D(60, 5, num_classes=9, padding="causal"),
        keras_ff.layers.CAWConv1D(60, 5, num_classes=9, padding="causal"),
    ])
    ```

    Reference:

    - [Ghader et al., 2026](https://arxiv.org/abs/2606.09928), Eq. 7 and the
      released code, both for images
    """

    operation_class = Conv1D
