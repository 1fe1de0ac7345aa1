import keras

from keras_ff.applications.architecture import architecture
from keras_ff.applications.builder import Builder
from keras_ff.contributions import SkipFirst
from keras_ff.layers import Whitening2D

# Channels of each convolution, and whether its map is pooled.
CONVOLUTIONS = (
    (64, False),
    (64, True),
    (128, False),
    (128, True),
    (128, False),
    (128, True),
)
GRID = 2


@architecture("auxiliary_head")
def whitened_cnn(
    input_shape,
    num_classes,
    method="prototype",
    width_multiplier=1.0,
    auxiliary_channels=128,
    auxiliary_kernel_size=3,
    dropout=0.0,
    preprocessing=(),
    model_options=None,
    layer_options=None,
):
    """Six convolutions on whitened patches, for training in minutes.

    A fixed whitening of 2x2 patches and GELU, then six local layers: a 3x3
    convolution without bias, in every other one max pooling, batch
    normalization without scale, GELU. Widths 64, 64, 128, 128, 128, 128. Each
    layer hands its activation on, and scores the classes through an auxiliary
    convolution of its own. 1.3 M weights.

    Adapt the whitening to the training images before training
    (`keras_ff.models.adapt_whitening`); it takes pixels on any scale.

    Args:
        input_shape: shape of one image, `(height, width, channels)`, at
            least 8 x 8 pixels.
        num_classes: int.
        method: what scores the classes, as in `tiny_cnn`: `"prototype"`
            (HFF), `"caw"` (CAW-Conv's assignment for every cell of a 2x2
            grid), `"projection"` (Mono-Forward), `"deep_supervision"` (with
            prototypes, but gradients cross the layers), `"backprop"` (with
            prototypes after the last layer only, trained end to end), or a
            `keras_ff.methods.Method` of your own, whose `auxiliary_head` is
            asked. Defaults to `"prototype"`.
        width_multiplier: float, scales every width, the auxiliary
            convolution's too. Defaults to `1.0`.
        auxiliary_channels: int, the width of the auxiliary convolutions, or
            `None` for heads without one. Defaults to `128`.
        auxiliary_kernel_size: int. Defaults to `3`.
        dropout: float in `[0, 1)`, after every layer's activation, or `None`
            for the method's. Defaults to `0.0`.
        preprocessing: Keras layer without trainable weights, or a list of
            them, that the images go through first.
        model_options: dict of arguments of the model, as in `tiny_cnn`. The
            default contribution is the sum of the second half of the layers,
            and nothing is clipped.
        layer_options: refused if not empty: the layers are what this network
            is.

    Returns:
        A `keras_ff.models.ForwardOnlyModel`, or a `keras.Model` that gives
        logits if `method` is `"backprop"`.

    Raises:
        ValueError: if `method` is unknown or has no such heads (`"cw"`), there
            are `layer_options`, `width_multiplier` is not positive or the
            images are too small.

    Example:

    ```python
    model = keras_ff.applications.whitened_cnn((32, 32, 3), 10)
    keras_ff.models.adapt_whitening(model, x_train)
    model.compile(
        keras_ff.optimizers.Muon(
            keras_ff.optimizers.Triangular(0.1, steps=6 * 200),
            momentum=0.6,
            ns_steps=3,
            rms_rate=None,
            normalize_weights=True,
            adam_lr_ratio=0.1,
        ),
        loss=keras_ff.losses.LocalCrossentropy(label_smoothing=0.1),
    )
    model.fit(
        keras_ff.datasets.AugmentedBatches((x_train, y_train), 250, seed=0),
        epochs=6,
    )
    ```

    Reference:

    - [Jordan, 2024](https://arxiv.org/abs/2404.00498), for the whitening and
      the block
    - [Sarode et al., 2026](https://arxiv.org/abs/2605.00082)
    - [Ghader et al., 2026](https://arxiv.org/abs/2606.09928)
    """
    build = Builder(
        input_shape,
        num_classes,
        method,
        width_multiplier,
        dropout,
        input_normalization=False,
        preprocessing=preprocessing,
        model_options=model_options,
        layer_options=layer_options,
    )
    build.check_images(8)

    def width(channels):
        return max(1, round(channels * width_multiplier))

    def conv(channels, kernel_size, pool=False):
        """The layers of one convolution."""
        layers = [
            keras.layers.Conv2D(
                width(channels), kernel_size, padding="same", use_bias=False
            )
        ]
        if pool:
            layers.append(keras.layers.MaxPooling2D(2))
        normalization = keras.layers.BatchNormalization(
            momentum=0.6, scale=False
        )
        return [*layers, normalization, keras.layers.Activation("gelu")]

    def head_layers():
        if auxiliary_channels is None:
            return []
        return conv(auxiliary_channels, auxiliary_kernel_size)

    x = Whitening2D(padding="same", name="whitening")(build.start)
    x = keras.layers.Activation("gelu")(x)
    for channels, pool in CONVOLUTIONS:
        layers = conv(channels, 3, pool)
        if build.dropout:
            layers.append(keras.layers.Dropout(build.dropout))
        x = build.block(x, layers, head_layers, GRID)
    own = {
        "contribution": SkipFirst(len(CONVOLUTIONS) // 2),
        "layer_clipnorm": None,
    }
    for name in set(own) & set(build.method.model_options):
        build.model_options.setdefault(name, own[name])
    return build.finish()
