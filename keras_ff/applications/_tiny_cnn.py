from collections.abc import Sequence

import keras

from keras_ff.applications.architecture import architecture
from keras_ff.applications.builder import Builder
from keras_ff.layers.average_pooling2d import AveragePooling2D
from keras_ff.methods import Method
from keras_ff.type_aliases import Config


@architecture("conv")
def tiny_cnn(
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
    """TinyCNN: four convolutions, 2.67 M weights on color images.

    Widths 100 (5x5), 200 (5x5), 400 and 400 (3x3), with average pooling after
    the first two.

    Args:
        input_shape: shape of one image, `(height, width, channels)`, or
            `(channels, height, width)` where Keras's image data format says
            so. Height and width may be `None`; images then need at least
            6 x 6 pixels.
        {arguments}

    {outcome}

    Example:

    ```python
    model = keras_ff.applications.tiny_cnn((32, 32, 3), 10, method="caw")
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
    # Smaller ones would be averaged over a whole map, whose mean is zero.
    build.check_images(6)
    x = build.conv(build.start, 100, 5)
    x = AveragePooling2D(2)(x)
    x = build.conv(x, 200, 5)
    x = AveragePooling2D(2)(x)
    x = build.conv(x, 400, 3)
    build.conv(x, 400, 3)
    return build.finish()
