from collections.abc import Sequence

import keras

from keras_ff.applications.architecture import architecture
from keras_ff.applications.builder import Builder
from keras_ff.layers.average_pooling2d import AveragePooling2D
from keras_ff.methods import Method
from keras_ff.type_aliases import Config


@architecture("conv")
def resnet17(
    input_shape: Sequence[int],
    num_classes: int,
    method: str | Method | type[Method] = "caw",
    width_multiplier: float = 1.0,
    dropout: float | None = None,
    input_normalization: bool = True,
    preprocessing: Sequence[keras.layers.Layer] = (),
    model_options: Config | None = None,
    layer_options: Config | None = None,
) -> keras.Model:
    """ResNet-17 with parameter-free shortcuts, 30.6 M weights.

    A convolution and four blocks of four 3x3 convolutions, widths 100, 200,
    400 and 800. Shortcuts carry normalized features: added after the second
    convolution of a block, concatenated (which doubles the width) after the
    fourth, and pooled to the next block's size.

    Args:
        input_shape: shape of one image, `(height, width, channels)`, or
            `(channels, height, width)` where Keras's image data format says
            so. Height and width may be `None`; images then need at least
            8 x 8 pixels.
        {arguments}

    {outcome}

    Example:

    ```python
    model = keras_ff.applications.resnet17((32, 32, 3), 10, method="caw")
    ```

    Reference:

    - [Sun et al., 2025](https://openreview.net/forum?id=kOYnXVQCtA)
    - [Ghader et al., 2026](https://arxiv.org/abs/2606.09928)
    """
    build = Builder(
        input_shape,
        num_classes,
        method,
        width_multiplier,
        dropout,
        input_normalization,
        preprocessing,
        model_options,
        layer_options,
    )
    build.check_images(8)

    def conv(x, block, strides=1):
        return build.conv(x, 100, 3, strides, doublings=block)

    x = shortcut = conv(build.start, 0)
    for block in range(4):
        x = conv(x, block, strides=1 if block == 0 else 2)
        x = conv(x, block)
        x = shortcut = keras.layers.Add()([x, shortcut])
        x = conv(x, block)
        x = conv(x, block)
        if block < 3:
            x = keras.layers.Concatenate(build.channel_axis)([x, shortcut])
            shortcut = AveragePooling2D(2, padding="same")(x)
    return build.finish()
