import keras
from keras import ops

from keras_ff.layers.masks import along
from keras_ff.layers.masks import hide


@keras.saving.register_keras_serializable(package="keras_ff")
class Conv1D(keras.layers.Conv1D):
    """Keras's convolution, for sequences with a mask.

    What is masked counts as zero, as what lies beyond the ends of a sequence
    does. A step that comes out is shown if the step that it stands for is,
    without padding if all are that its kernel sees.
    """

    def call(self, inputs, mask=None):
        if mask is not None:
            first = 2 if self.data_format == "channels_first" else 1
            inputs = hide(inputs, along(inputs, mask, first))
        return super().call(inputs)

    def compute_mask(self, inputs, mask=None):
        if mask is None:
            return None
        (step,), (reach,) = self.strides, self.dilation_rate
        if self.padding == "same" and step > 1:
            raise ValueError(
                "With padding='same' and strides, which steps a convolution "
                "sees depends on the length of a sequence, and so on its "
                f"padding. Received: strides={step} and sequences with a "
                "mask. Use padding='causal' or 'valid'."
            )
        if self.padding != "valid":
            return mask[:, ::step]
        last = (self.kernel_size[0] - 1) * reach
        shown = mask[:, : -last or None : step]
        for start in range(reach, last + 1, reach):
            end = start - last
            seen = mask[:, start : end or None : step]
            shown = ops.logical_and(shown, seen)
        return shown
