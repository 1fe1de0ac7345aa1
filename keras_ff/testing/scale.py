import keras


@keras.saving.register_keras_serializable(package="keras_ff.testing")
class Scale(keras.layers.Layer):
    """Multiplies every number of a sample by a weight that starts at 1.

    What moves its weights in a step of gradient descent came through its
    outputs: the gradient at the layer after it, read on any backend.
    """

    def build(self, input_shape):
        self.scale = self.add_weight(
            shape=input_shape[1:], initializer="ones", name="scale"
        )

    def call(self, inputs):
        # PyTorch wants a gradient somewhere, if only of nothing.
        self.add_loss(0.0 * keras.ops.sum(self.scale))
        return inputs * keras.ops.cast(self.scale, inputs.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape
