from typing import Any

import keras

from keras_ff.checks import check_num_classes
from keras_ff.layers.channel_groups import ChannelGroups
from keras_ff.layers.kernel_layer import KernelLayer
from keras_ff.layers.local_layer import Objectives
from keras_ff.type_aliases import Activation
from keras_ff.type_aliases import Constraint
from keras_ff.type_aliases import DataFormat
from keras_ff.type_aliases import Initializer
from keras_ff.type_aliases import Normalization
from keras_ff.type_aliases import Regularizer
from keras_ff.type_aliases import Sizes


class CWConv(KernelLayer):
    """What CW-Conv is for sequences and for images.

    Args:
        filters, kernel_size, num_classes, **kwargs: see `CWConv2D`.
    """

    head_class = ChannelGroups

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        num_classes: int,
        dropout: float = 0.2,
        normalization: Normalization | None = "group",
        kernel_initializer: Initializer | None = None,
        *,
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
