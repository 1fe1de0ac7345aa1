from collections.abc import Sequence

import keras

from keras_ff.applications.architecture import architecture
from keras_ff.applications.builder import Builder
from keras_ff.layers.average_pooling2d import AveragePooling2D
from keras_ff.methods import Method
from keras_ff.type_aliases import Config


@architecture("conv")
def vgg14(
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
    """VGG-14: fourteen convolutions, 17.8 M weights.

    Widths 70 (two layers), 140, 280, 560 and 560 (three layers each), 3x3,
    with average pooling between the groups. On maps smaller than 32 pixels
    the last poolings are left out where one pixel remains.

    Args:
        input_shape: shape of one image, `(height, width, channels)`, or
            `(channels, height, width)` where Keras's image data format says
            so. Height and width may be `None`; images then need at least
            16 x 16 pixels.
        {arguments}

    {outcome}

    Example:

    ```python
    model = keras_ff.applications.vgg14((32, 32, 3), 10, method="caw")
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
    x = build.start
    for group, (channels, depth) in enumerate(
        [(70, 2), (140, 3), (280, 3), (560, 3), (560, 3)]
    ):
        # The average of a whole map is nothing where its mean is zero.
        if group and not {1, 2} & set(build.size(x)):
            x = AveragePooling2D(2)(x)
        for _ in range(depth):
            x = build.conv(x, channels, 3)
    return build.finish()
