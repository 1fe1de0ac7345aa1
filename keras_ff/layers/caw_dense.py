from collections.abc import Sequence
from typing import Any

import keras

from keras_ff.layers.channel_class_assignment import AssignmentRegularizers
from keras_ff.layers.channel_class_assignment import ChannelClassAssignment
from keras_ff.layers.delegate import Delegate
from keras_ff.layers.kernel_layer import KernelLayer
from keras_ff.layers.local_layer import Objectives
from keras_ff.type_aliases import Activation
from keras_ff.type_aliases import Constraint
from keras_ff.type_aliases import Initializer
from keras_ff.type_aliases import Normalization
from keras_ff.type_aliases import Regularizer


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
        activation: defaults to `"relu"`.
        use_bias: bool. Defaults to `False`.
        bias_initializer, kernel_regularizer, bias_regularizer,
            activity_regularizer, kernel_constraint, bias_constraint: as in
            `keras.layers.Dense`.
        objectives: as in `LocalLayer`.
        **kwargs: arguments of `keras.layers.Layer` (`name`, `dtype`,
            `trainable`).

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
        units: int,
        num_classes: int,
        dropout: float = 0.1,
        normalization: Normalization | None = "layer",
        kernel_initializer: Initializer | None = None,
        *,
        pooling: Sequence[float] = (0.94, 0.06, 0.05),
        temperature: float = 10.0,
        learnable_temperature: bool = True,
        temperature_decay: float = 0.995,
        temperature_range: Sequence[float] = (0.1, 100.0),
        assignment_initializer: Initializer | None = None,
        learnable_assignment: bool = True,
        assignment_regularizers: AssignmentRegularizers = "published",
        activation: Activation | None = "relu",
        use_bias: bool = False,
        bias_initializer: Initializer | None = "zeros",
        kernel_regularizer: Regularizer | None = None,
        bias_regularizer: Regularizer | None = None,
        activity_regularizer: Regularizer | None = None,
        kernel_constraint: Constraint | None = None,
        bias_constraint: Constraint | None = None,
        objectives: Objectives | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            units=units,
            num_classes=num_classes,
            dropout=dropout,
            normalization=normalization,
            kernel_initializer=kernel_initializer
            or keras.initializers.VarianceScaling(
                1 / 3, mode="fan_in", distribution="uniform"
            ),
            pooling=pooling,
            temperature=temperature,
            learnable_temperature=learnable_temperature,
            temperature_decay=temperature_decay,
            temperature_range=temperature_range,
            assignment_initializer=assignment_initializer,
            learnable_assignment=learnable_assignment,
            assignment_regularizers=assignment_regularizers,
            activation=activation,
            use_bias=use_bias,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            objectives=objectives,
            **kwargs,
        )
