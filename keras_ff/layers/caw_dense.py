import keras

from keras_ff.layers.channel_class_assignment import ChannelClassAssignment
from keras_ff.layers.delegate import Delegate
from keras_ff.layers.kernel_layer import KernelLayer


@keras.saving.register_keras_serializable(package="keras_ff")
class CAWDense(KernelLayer):
    """A local dense layer whose units are assigned to classes.

    CAW-Conv without a map: `y = dropout(relu(stop_gradient(x) @ kernel))`,
    `goodness = y @ softmax(W / T)`, `features = normalization(y)`.
    `layer.kernel`, `layer.assignment` (`W`) and `layer.log_temperature` can
    be read and set.

    Args:
        units: int, the number of units.
        num_classes: int, at least 2. It need not divide `units`.
        dropout: float in `[0, 1)`. Defaults to `0.1`.
        normalization: `"group"`, `"layer"`, `"rms"`, a Keras layer without
            trainable weights, or `None`. Defaults to `"layer"`.
        kernel_initializer: defaults to uniform within `1 / sqrt(fan_in)`.
        pooling, temperature, learnable_temperature, temperature_decay,
            temperature_range, assignment_initializer, learnable_assignment,
            assignment_regularizers: as in `CAWConv2D`; there is no map, so
            `pooling` changes nothing.
        **kwargs: the other arguments of `keras.layers.Dense` and of
            `keras.layers.Layer`.

    Call arguments:
        inputs: tensor of shape `(batch, features)`.
        training: bool, whether dropout is active.

    Input shape:
        `(batch, features)`.

    Output shape:
        A pair `(features, goodness)`: `(batch, units)`, and
        `(batch, num_classes)` in float32.

    Raises:
        ValueError: if an argument is out of range.

    Example:

    ```python
    features, goodness = keras_ff.layers.CAWDense(200, num_classes=10)(x)
    ```

    Reference:

    - [Ghader et al., 2026](https://arxiv.org/abs/2606.09928)
    """

    operation_class = keras.layers.Dense
    head_class = ChannelClassAssignment

    assignment = Delegate("head")
    log_temperature = Delegate("head")

    def __init__(
        self,
        units,
        num_classes,
        dropout=0.1,
        normalization="layer",
        kernel_initializer=None,
        **kwargs,
    ):
        super().__init__(
            units=units,
            num_classes=num_classes,
            dropout=dropout,
            normalization=normalization,
            kernel_initializer=kernel_initializer
            or keras.initializers.VarianceScaling(
                1 / 3, mode="fan_in", distribution="uniform"
            ),
            **kwargs,
        )
