import functools
import math
from collections.abc import Sequence

import keras

from keras_ff.applications.architecture import architecture
from keras_ff.applications.builder import Builder
from keras_ff.checks import check_bool
from keras_ff.checks import check_integer
from keras_ff.contributions import SkipFirst
from keras_ff.layers import Whitening2D
from keras_ff.layers.average_pooling2d import AveragePooling2D
from keras_ff.layers.conv2d import Conv2D
from keras_ff.layers.max_pooling2d import MaxPooling2D
from keras_ff.layers.normalization import get_normalization
from keras_ff.methods import Method
from keras_ff.type_aliases import Config

# Channels of each convolution, and whether its map is pooled.
CONVOLUTIONS = (
    (64, False),
    (64, True),
    (128, False),
    (128, True),
    (128, False),
    (128, True),
)
PATCH_SIZE = 2
NORMALIZATIONS = ("batch", "instance", None)


@architecture("auxiliary_head")
def whitened_cnn(
    input_shape: Sequence[int],
    num_classes: int,
    method: str | Method | type[Method] = "prototype",
    width_multiplier: float = 1.0,
    auxiliary_channels: int = 128,
    auxiliary_kernel_size: int = 3,
    auxiliary_size: int = 8,
    dropout: float = 0.0,
    convolutions_per_block: int = 1,
    grid: int = 2,
    normalization: str | None = "batch",
    whitening: bool = True,
    preprocessing: Sequence[keras.layers.Layer] = (),
    model_options: Config | None = None,
    layer_options: Config | None = None,
) -> keras.Model:
    """Six convolutions on whitened patches, for training in minutes.

    A fixed whitening of 2x2 patches and GELU, then six local layers: a 3x3
    convolution without bias, in every other one max pooling, batch
    normalization without scale, GELU. Widths 64, 64, 128, 128, 128, 128. Each
    layer hands its activation on, and scores the classes through an auxiliary
    convolution of its own, on averages of its map. 1.3 M weights.

    Adapt the whitening to the training images before training
    (`keras_ff.models.adapt_whitening`); it takes pixels on any scale.

    Args:
        input_shape: shape of one image, `(height, width, channels)`, at
            least 8 x 8 pixels.
        num_classes: int.
        method: what scores the classes, as in `tiny_cnn`: `"prototype"`
            (HFF), `"caw"` (CAW-Conv's assignment for every cell of a 2x2
            grid), `"projection"` (Mono-Forward), `"contrast"` and
            `"predsim"` (a projection, and supervised contrast or similarity
            matching of what each layer hands on), `"deep_supervision"` (with
            prototypes, but gradients cross the layers), `"backprop"` (with
            prototypes after the last layer only, trained end to end), or a
            `keras_ff.methods.Method` of your own, whose `auxiliary_head` and
            `objectives` are asked. Defaults to `"prototype"`.
        width_multiplier: float, scales every width, the auxiliary
            convolution's too. Defaults to `1.0`.
        auxiliary_channels: int, the width of the auxiliary convolutions, or
            `None` for heads without one. Defaults to `128`.
        auxiliary_kernel_size: int. Defaults to `3`.
        auxiliary_size: int, how many pixels along a side an auxiliary
            convolution sees at most: larger maps are averaged before. `None`
            for whole maps, which takes twice as long in all. Defaults to `8`.
        dropout: float in `[0, 1)`, after every layer's activation, or `None`
            for the method's. Defaults to `0.0`.
        convolutions_per_block: int, how many convolutions learn by one loss,
            whose gradient crosses them; 6 train the network end to end. Of
            no effect if the gradient crosses all layers anyway. Defaults to
            `1`, strictly local.
        grid: int, the cells along a side on which a head averages a map
            before it scores the classes. Defaults to `2`.
        normalization: `"batch"`, `"instance"` (each channel of each map by
            itself, without a shift), or `None`, with a bias in every
            convolution instead. Defaults to `"batch"`.
        whitening: bool, whether the first layer is the fixed whitening. If
            not, a convolution of the same size takes its place, which learns
            with the first block; the pixels shall then be normalized
            (`preprocessing`). Defaults to `True`.
        preprocessing: Keras layer without trainable weights, or a list of
            them, that the images go through first.
        model_options: dict of arguments of the model, as in `tiny_cnn`. The
            default contribution is the sum of the second half of the layers,
            and nothing is clipped.
        layer_options: dict of arguments of the method's objectives
            (`contrast_weight`, `contrast_temperature` and others,
            `similarity_weight`). Any other is refused: the layers are what
            this network is.

    Returns:
        A `keras_ff.models.ForwardOnlyModel`, or a `keras.Model` that gives
        logits if `method` is `"backprop"`.

    Raises:
        ValueError: if `method` is unknown or has no such heads (`"cw"`), there
            are other `layer_options`, another argument is out of range or the
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
    check_integer("convolutions_per_block", convolutions_per_block, minimum=1)
    if convolutions_per_block > len(CONVOLUTIONS):
        raise ValueError(
            f"There are {len(CONVOLUTIONS)} convolutions. Received: "
            f"convolutions_per_block={convolutions_per_block}"
        )
    check_integer("grid", grid, minimum=1)
    if auxiliary_size is not None:
        check_integer("auxiliary_size", auxiliary_size, minimum=1)
    check_bool("whitening", whitening)
    if normalization not in NORMALIZATIONS:
        raise ValueError(
            f"`normalization` must be one of {NORMALIZATIONS}. Received: "
            f"normalization={normalization!r}"
        )

    def width(channels):
        return max(1, round(channels * width_multiplier))

    def conv(channels, kernel_size, pool=False):
        """The layers of one convolution."""
        layers = [
            Conv2D(
                channels,
                kernel_size,
                padding="same",
                use_bias=normalization is None,
            )
        ]
        if pool:
            layers.append(MaxPooling2D(2))
        if normalization == "batch":
            layers.append(
                keras.layers.BatchNormalization(
                    axis=build.channel_axis, momentum=0.6, scale=False
                )
            )
        elif normalization:
            layers.append(
                get_normalization(normalization, num_classes, dtype=None)
            )
        return [*layers, keras.layers.Activation("gelu")]

    def head_layers(side):
        """The layers of a head on maps of so many pixels along a side."""
        if auxiliary_channels is None:
            return []
        layers = conv(width(auxiliary_channels), auxiliary_kernel_size)
        window = math.ceil(side / (auxiliary_size or side))
        if window > 1:
            layers.insert(0, AveragePooling2D(window))
        return layers

    x, first = build.start, []
    if whitening:
        x = Whitening2D(PATCH_SIZE, padding="same", name="whitening")(x)
        x = keras.layers.Activation("gelu")(x)
    else:
        channels = x.shape[build.channel_axis]
        first = conv(2 * PATCH_SIZE**2 * channels, PATCH_SIZE)
    blocks = [
        CONVOLUTIONS[start : start + convolutions_per_block]
        for start in range(0, len(CONVOLUTIONS), convolutions_per_block)
    ]
    for block in blocks:
        layers, first = first, []
        for channels, pool in block:
            layers += conv(width(channels), 3, pool)
            if build.dropout:
                layers.append(keras.layers.Dropout(build.dropout))
        pooled = 2 ** sum(pool for _, pool in block)
        side = max((n or 1) // pooled for n in build.size(x))
        heads = functools.partial(head_layers, side)
        x = build.block(x, layers, heads, grid)
    own = {
        "contribution": SkipFirst(max(1, len(blocks) // 2)),
        "layer_clipnorm": None,
    }
    for name in set(own) & set(build.method.model_options):
        build.model_options.setdefault(name, own[name])
    return build.finish()
