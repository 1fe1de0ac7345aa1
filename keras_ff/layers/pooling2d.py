import keras

from keras_ff.layers.map_order import in_backend_order


class Pooling2D(keras.layers.Layer):
    """Keras's pooling, without copies of its maps on PyTorch."""

    def call(self, inputs):
        return in_backend_order(
            self.operation,
            inputs,
            self.data_format,
            pool_size=self.pool_size,
            strides=self.strides,
            padding=self.padding,
        )
