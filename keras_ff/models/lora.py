import keras
import numpy as np
from keras import ops

from keras_ff import keras_private


def start_lora(model):
    """Draws the first factor of every LoRA anew whose factors are zero.

    Keras's files merge both into the kernel and leave zeros, which have no
    gradient ever again. The product stays zero.
    """
    for layer in keras_private.all_layers(model):
        if getattr(layer, "lora_enabled", False):
            kind = "kernel" if hasattr(layer, "lora_kernel_a") else "embeddings"
            first, second = (
                getattr(layer, f"lora_{kind}_{which}") for which in "ab"
            )
            if not np.any(ops.convert_to_numpy(first)) and not np.any(
                ops.convert_to_numpy(second)
            ):
                # As `enable_lora` does.
                draw = keras.initializers.HeUniform()
                first.assign(draw(first.shape, first.dtype))
