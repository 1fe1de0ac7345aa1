import keras

from keras_ff.applications.builder import Builder


def tiny_cnn(
    input_shape, num_classes, method="caw", width_multiplier=1.0, **kwargs
):
    """TinyCNN: four convolutions, 2.67 M weights on colour images.

    Widths 100 (5x5), 200 (5x5), 400 and 400 (3x3), with average pooling after
    the first two.

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
    model = keras_ff.applications.tiny_cnn((32, 32, 3), 10, method="caw")
    ```

    Reference:

    - [Sun et al., 2025](https://openreview.net/forum?id=kOYnXVQCtA)
    - [Ghader et al., 2026](https://arxiv.org/abs/2606.09928)
    """
    build = Builder(
        input_shape, num_classes, method, width_multiplier, **kwargs
    )
    build.check_size(4)
    x = build.conv(build.start, 100, 5)
    x = keras.layers.AveragePooling2D(2)(x)
    x = build.conv(x, 200, 5)
    x = keras.layers.AveragePooling2D(2)(x)
    x = build.conv(x, 400, 3)
    build.conv(x, 400, 3)
    return build.finish()
