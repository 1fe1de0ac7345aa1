"""A user's own layer, in a module that another process can import."""

import keras


@keras.saving.register_keras_serializable("device_tests")
class Scaled(keras.layers.Layer):
    """Has a weight, and a part that nobody named."""

    def build(self, shape):
        self.scale = self.add_weight(shape=shape[-1:], initializer="ones")
        self.part = keras.layers.Dense(5)
        self.part.build(shape)

    def call(self, inputs):
        return keras.ops.tanh(self.part(inputs * self.scale))
