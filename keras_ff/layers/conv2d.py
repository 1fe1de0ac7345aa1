import keras
from keras import ops

from keras_ff.layers.map_order import in_backend_order


@keras.saving.register_keras_serializable(package="keras_ff")
class Conv2D(keras.layers.Conv2D):
    """Keras's convolution, without copies of its maps on PyTorch.

    Kernels of one pixel see only what they take. With strides it is the same,
    and less work. PyTorch writes beyond its memory there (docs/upstream.md).
    """

    def convolution_op(self, inputs, kernel):
        strides = self.strides
        if self.kernel_size == (1, 1) and strides != (1, 1):
            rows, columns = (slice(None, None, step) for step in strides)
            if self.data_format == "channels_first":
                inputs = inputs[:, :, rows, columns]
            else:
                inputs = inputs[:, rows, columns]
            strides = 1
        return in_backend_order(
            ops.conv,
            inputs,
            self.data_format,
            kernel=kernel,
            strides=strides,
            padding=self.padding,
            dilation_rate=self.dilation_rate,
        )
