import keras
from keras import ops

from keras_ff.layers.pooling2d import Pooling2D


@keras.saving.register_keras_serializable(package="keras_ff")
class MaxPooling2D(Pooling2D, keras.layers.MaxPooling2D):
    operation = staticmethod(ops.max_pool)
