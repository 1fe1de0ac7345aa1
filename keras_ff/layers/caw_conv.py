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
from keras_ff.type_aliases import DataFormat
from keras_ff.type_aliases import Initializer
from keras_ff.type_aliases import Normalization
from keras_ff.type_aliases import Regularizer
from keras_ff.type_aliases import Sizes


class CAWConv(KernelLayer):
    """What CAW-Conv is for sequences and for images.

    Args:
        filters, kernel_size, num_classes, **kwargs: see `CAWConv2D`.
    """

    head_class = ChannelClassAssignment

    assignment = Delegate("head")
    log_temperature = Delegate("head")

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        num_classes: int,
        dropout: float = 0.1,
        normalization: Normalization | None = "instance",
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
        strides: Sizes = 1,
        padding: str = "valid",
        data_format: DataFormat | None = None,
        dilation_rate: Sizes = 1,
        groups: int = 1,
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
            filters=filters,
            kernel_size=kernel_size,
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
            strides=strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            groups=groups,
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
