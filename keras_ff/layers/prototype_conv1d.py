import keras

from keras_ff.layers.conv1d import Conv1D
from keras_ff.layers.prototype_conv import PrototypeConv


@keras.saving.register_keras_serializable(package="keras_ff")
class PrototypeConv1D(PrototypeConv):
    """HFF for sequences: a local convolution and a hypersphere.

    ```
    y = dropout(relu(conv(stop_gradient(x))))
    goodness_k = cos(pool(embedding(y)), prototype_k)
    features = normalization(y)
    ```

    Steps that Keras's mask hides count as zeros, as do those beyond the ends
    of a sequence; they are in no average and no normalization. Train it with
    `keras_ff.losses.SmoothMarginLoss`.

    Args:
        filters: int, the number of channels.
        kernel_size: int, the number of steps that a kernel sees.
        num_classes: int, at least 2. It need not divide `filters`.
        embedding_kernel_size: int, the window of the embedding. Defaults to
            `1`.
        pooling: `"average"` or `"flatten"`, of the embedding over the steps.
            Defaults to `"average"`.
        embedding_size, embedding_initializer, dropout, normalization,
            kernel_initializer: as in `PrototypeConv2D`.
        prototypes_per_class, beta, prototype_initializer,
            learnable_prototypes, epsilon: as in `HypersphericalPrototypes`.
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
    layer = keras_ff.layers.PrototypeConv1D(
        64, 5, num_classes=9, padding="causal"
    )
    features, goodness = layer(sequences)
    ```

    Reference:

    - [Sarode et al., 2026](https://arxiv.org/abs/2605.00082), for images
    """

    operation_class = Conv1D
