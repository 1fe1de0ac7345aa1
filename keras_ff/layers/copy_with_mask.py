import keras
from keras import ops

from keras_ff.keras_private import attach_mask
from keras_ff.keras_private import mask_of


@keras.saving.register_keras_serializable(package="keras_ff")
class CopyWithMask(keras.Operation):
    """The same numbers as another tensor, for graphs with attention.

    Attention takes the mask off what it is called on; off this one, those
    that use the other tensor still find it.
    """

    def call(self, x):
        # No backend copies the numbers.
        copy = ops.squeeze(ops.expand_dims(x, 0), 0)
        mask = mask_of(x)
        if mask is not None:
            attach_mask(copy, mask)
        return copy

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape, dtype=x.dtype)

    def get_config(self):
        return {"name": self.name}
