import keras

from keras_ff.applications.builder import Builder


def vgg14(
    input_shape, num_classes, method="caw", width_multiplier=1.0, **kwargs
):
    """VGG-14: fourteen convolutions, 17.8 M weights.

    Widths 70 (two layers), 140, 280, 560 and 560 (three layers each), 3x3,
    with average pooling between the groups. On maps smaller than 32 pixels
    the last poolings are left out where one pixel remains.

    Args:
        input_shape: shape of one image, `(height, width, channels)`.
        num_classes: int.
        method: what each convolution is: `"caw"` (CAW-Conv), `"cw"`
            (DeeperForward), `"prototype"` (HFF), `"projection"`
            (Mono-Forward), `"deep_supervision"` (the heads of Mono-Forward,
            but gradients cross the layers) or `"backprop"` (the same network
            trained end to end, with a pooled linear head).
            Defaults to `"caw"`.
        width_multiplier: float, scales every width; widths are rounded to a
            multiple of `num_classes`. Defaults to `1.0`, as published.
        **kwargs: `dropout`, `preprocessing` (layers that the input goes
            through first), `input_normalization`, `model_options` (such as
            `contribution`, `layer_clipnorm`, `layer_metrics`) and
            `layer_options` (arguments of every local layer).

    Returns:
        A `keras_ff.models.ForwardOnlyModel`, or a `keras.Model` that gives
        logits if `method` is `"backprop"`.

    Raises:
        ValueError: if `method` is unknown or the input is too small.

    Example:

    ```python
    model = keras_ff.applications.vgg14((32, 32, 3), 10, method="caw")
    ```

    Reference:

    - [Sun et al., 2025](https://openreview.net/forum?id=kOYnXVQCtA)
    - [Ghader et al., 2026](https://arxiv.org/abs/2606.09928)
    """
    build = Builder(
        input_shape, num_classes, method, width_multiplier, **kwargs
    )
    build.check_size(8)
    x = build.start
    for group, (channels, depth) in enumerate(
        [(70, 2), (140, 3), (280, 3), (560, 3), (560, 3)]
    ):
        if group and min(x.shape[1:3]) > 1:
            x = keras.layers.AveragePooling2D(2)(x)
        for _ in range(depth):
            x = build.conv(x, channels, 3)
    return build.finish()
