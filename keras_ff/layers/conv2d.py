import keras
from keras import ops


class Conv2D(keras.layers.Conv2D):
    """Keras's convolution; kernels of one pixel see only what they take.

    With strides it is the same, and less work. PyTorch writes beyond its
    memory there (docs/upstream.md).
    """

    def convolution_op(self, inputs, kernel):
        if self.kernel_size != (1, 1) or self.strides == (1, 1):
            return super().convolution_op(inputs, kernel)
        rows, columns = (slice(None, None, step) for step in self.strides)
        if self.data_format == "channels_first":
            taken = inputs[:, :, rows, columns]
        else:
            taken = inputs[:, rows, columns]
        return ops.conv(taken, kernel, data_format=self.data_format)
