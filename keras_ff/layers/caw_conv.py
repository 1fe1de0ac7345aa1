import keras

from keras_ff.layers.channel_class_assignment import ChannelClassAssignment
from keras_ff.layers.delegate import Delegate
from keras_ff.layers.kernel_layer import KernelLayer


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
        filters,
        kernel_size,
        num_classes,
        dropout=0.1,
        normalization="instance",
        kernel_initializer=None,
        **kwargs,
    ):
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
            **kwargs,
        )
