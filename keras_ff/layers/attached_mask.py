import keras

from keras_ff.keras_private import mask_of


@keras.saving.register_keras_serializable(package="keras_ff")
class AttachedMask(keras.Operation):
    """The mask of a tensor, for the graphs of functional models.

    In a graph Keras gives a layer its mask as an argument. That of a local
    layer's features comes from inside of the layer.

    Args:
        shape: tuple, that of the mask.
    """

    def __init__(self, shape, name=None):
        super().__init__(name=name)
        self.shape = tuple(shape)

    def call(self, x):
        return mask_of(x)

    def compute_output_spec(self, x):
        return keras.KerasTensor(self.shape, dtype="bool")

    def get_config(self):
        return {"shape": self.shape, "name": self.name}
