import keras

from keras_ff.checks import check_num_classes
from keras_ff.layers.channel_groups import ChannelGroups
from keras_ff.layers.kernel_layer import KernelLayer


class CWConv(KernelLayer):
    """What CW-Conv is for sequences and for images.

    Args:
        filters, kernel_size, num_classes, **kwargs: see `CWConv2D`.
    """

    head_class = ChannelGroups

    def __init__(
        self,
        filters,
        kernel_size,
        num_classes,
        dropout=0.2,
        normalization="group",
        kernel_initializer=None,
        **kwargs,
    ):
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
            **kwargs,
        )
