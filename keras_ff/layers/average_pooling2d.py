import keras
from keras import ops

from keras_ff.layers.pooling2d import Pooling2D


@keras.saving.register_keras_serializable(package="keras_ff")
class AveragePooling2D(Pooling2D, keras.layers.AveragePooling2D):
    operation = staticmethod(ops.average_pool)
