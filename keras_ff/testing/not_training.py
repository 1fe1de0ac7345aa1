import keras


class NotTraining(keras.layers.Layer):
    """Calls a layer as `predict` does, in training too.

    A model that trains overrides the argument of the layer's own call.

    Args:
        layer: the layer.
        **kwargs: base layer keyword arguments.
    """

    def __init__(self, layer, **kwargs):
        super().__init__(**kwargs)
        self.layer = layer

    def build(self, input_shape):
        if not self.layer.built:
            self.layer.build(input_shape)

    def call(self, inputs):
        return self.layer(inputs, training=False)
