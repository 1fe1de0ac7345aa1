import keras

from keras_ff.layers.conv2d import Conv2D
from keras_ff.layers.prototype_conv import PrototypeConv


@keras.saving.register_keras_serializable(package="keras_ff")
class PrototypeConv2D(PrototypeConv):
    """HFF: a local convolution that classifies on a hypersphere.

    ```
    y = dropout(relu(conv(stop_gradient(x))))
    goodness_k = cos(pool(embedding(y)), prototype_k)
    features = normalization(y)
    ```

    The embedding is HFF's auxiliary convolution, learned with the layer and
    not handed on. `layer.kernel` and `layer.prototypes`, of shape
    `(num_classes, prototypes_per_class, dimensions)`, can be read and set.
    Train it with `keras_ff.losses.SmoothMarginLoss`.

    Args:
        filters: int, the number of channels.
        kernel_size: int or pair of ints.
        num_classes: int, at least 2. It need not divide `filters`.
        embedding_size: int, the channels of the auxiliary convolution;
            `None` compares the activation itself with the prototypes.
            Defaults to `128`.
        embedding_kernel_size: int or pair of ints, its window. Defaults to
            `1`.
        embedding_initializer: initializer of its kernel. Defaults to
            `"glorot_uniform"`.
        pooling: `"average"`, `"flatten"`, or an int `n`, a grid of `n` by `n`
            averages of the embedding. Defaults to `"average"`.
        dropout: float in `[0, 1)`, element-wise. Defaults to `0.0`.
        normalization: `"instance"`, `"group"`, `"layer"`, `"rms"`, a Keras
            layer without trainable weights, or `None`. Defaults to
            `"instance"`.
        kernel_initializer: defaults to `"he_normal"`.
        prototypes_per_class, beta, prototype_initializer,
            learnable_prototypes, epsilon: as in `HypersphericalPrototypes`.
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
        ValueError: if an argument is out of range.

    Example:

    ```python
    layer = keras_ff.layers.PrototypeConv2D(
        64, 3, num_classes=10, padding="same", prototypes_per_class=2
    )
    features, goodness = layer(images)
    ```

    Reference:

    - [Sarode et al., 2026](https://arxiv.org/abs/2605.00082)
    """

    operation_class = Conv2D
