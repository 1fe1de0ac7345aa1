import keras

from keras_ff.applications.builder import Builder


def mlp(
    input_shape,
    num_classes,
    method="caw",
    width_multiplier=1.0,
    units=(2000, 2000, 2000),
    **kwargs,
):
    """A dense network.

    The input is flattened; every layer has ReLU, dropout and layer
    normalization (with `"prototype"`, division by the root mean square).

    Args:
        input_shape: shape of one sample.
        num_classes: int.
        method: what each layer is: `"caw"` (CAW-Conv), `"prototype"` (HFF),
            `"projection"` (Mono-Forward), `"deep_supervision"` (its heads,
            but gradients cross the layers) or `"backprop"` (the same network
            trained end to end, with a linear head). Defaults to `"caw"`.
        width_multiplier: float, scales every width; widths are rounded to a
            multiple of `num_classes`. Defaults to `1.0`, as published.
        units: the widths of the layers. Defaults to three of 2000.
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
    model = keras_ff.applications.mlp((28, 28, 1), 10, units=(1000, 1000))
    ```

    Reference:

    - [Hinton, 2022](https://arxiv.org/abs/2212.13345), dense networks
    """
    build = Builder(
        input_shape, num_classes, method, width_multiplier, **kwargs
    )
    x = build.start
    if len(input_shape) > 1:
        x = keras.layers.Flatten()(x)
    for width in units:
        x = build.dense(x, width)
    return build.finish()
