import keras

from keras_ff.contributions import SkipFirst
from keras_ff.layers import AuxiliaryHead
from keras_ff.layers import ChannelClassAssignment
from keras_ff.layers import GoodnessProjection
from keras_ff.layers import HypersphericalPrototypes
from keras_ff.layers import LocalBlock
from keras_ff.layers import Whitening2D
from keras_ff.models import DeepSupervisionModel
from keras_ff.models import ForwardOnlyModel

METHODS = ("prototype", "caw", "projection", "deep_supervision", "backprop")
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


def whitened_cnn(
    input_shape,
    num_classes,
    method="prototype",
    width_multiplier=1.0,
    auxiliary_channels=128,
    auxiliary_kernel_size=3,
    preprocessing=(),
    model_options=None,
):
    """Six convolutions on whitened patches, for training in minutes.

    A fixed whitening of 2x2 patches and GELU, then six local layers: a 3x3
    convolution without bias, in every other one max pooling, batch
    normalization without scale, GELU. Widths 64, 64, 128, 128, 128, 128. Each
    layer hands its activation on, and scores the classes through an auxiliary
    convolution of its own. 1.3 M weights.

    Adapt the whitening to the training images before training; it takes
    pixels on any scale.

    Args:
        input_shape: shape of one image, `(height, width, channels)`.
        num_classes: int.
        method: what scores the classes: `"prototype"` (HFF), `"caw"`
            (CAW-Conv's assignment for every cell of a 2x2 grid),
            `"projection"` (Mono-Forward), `"deep_supervision"` (with
            prototypes, but gradients cross the layers) or `"backprop"` (with
            prototypes after the last layer only, trained end to end).
            Defaults to `"prototype"`.
        width_multiplier: float, scales every width, the auxiliary
            convolution's too. Defaults to `1.0`.
        auxiliary_channels: int, the width of the auxiliary convolutions, or
            `None` for heads without one. Defaults to `128`.
        auxiliary_kernel_size: int. Defaults to `3`.
        preprocessing: Keras layer without trainable weights, or a list of
            them, that the images go through first.
        model_options: dict, keyword arguments of the `ForwardOnlyModel`. The
            default contribution is the sum of the second half of the layers.

    Returns:
        A `keras_ff.models.ForwardOnlyModel`, or a `keras.Model` that gives
        logits if `method` is `"backprop"`.

    Raises:
        ValueError: if `method` is unknown, `width_multiplier` not positive or
            the images are too small.

    Example:

    ```python
    model = keras_ff.applications.whitened_cnn((32, 32, 3), 10)
    model.get_layer("whitening").adapt(x_train[:5000])
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
    if method not in METHODS:
        raise ValueError(
            f"`method` must be one of {METHODS}. Received: method={method!r}"
        )
    if not 0 < width_multiplier < float("inf"):
        raise ValueError(
            "`width_multiplier` must be positive. Received: "
            f"width_multiplier={width_multiplier}"
        )
    if min(input_shape[:2]) < 8:
        raise ValueError(
            "The input must be at least 8 x 8 pixels. Received: images of "
            f"shape {tuple(input_shape)}"
        )

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

    def head():
        layers = []
        if auxiliary_channels is not None:
            layers = conv(auxiliary_channels, auxiliary_kernel_size)
        return _head(method, num_classes, layers)

    inputs = keras.Input(input_shape)
    x = inputs
    for layer in keras.tree.flatten(preprocessing):
        x = layer(x)
    x = Whitening2D(padding="same", name="whitening")(x)
    x = keras.layers.Activation("gelu")(x)
    goodness = []
    local = method not in ("deep_supervision", "backprop")
    for channels, pool in CONVOLUTIONS:
        layers = conv(channels, 3, pool)
        if local:
            x, scores = LocalBlock(layers, head())(x)
            goodness.append(scores)
        else:
            for layer in layers:
                x = layer(x)
            if method == "deep_supervision":
                goodness.append(head()(x))
    options = dict(model_options or {})
    if local:
        options.setdefault("contribution", SkipFirst(len(goodness) // 2))
        return ForwardOnlyModel(inputs, goodness, **options)
    name = options.get("name")
    if method == "deep_supervision":
        return DeepSupervisionModel(inputs, goodness, name=name)
    return keras.Model(inputs, head()(x), name=name)


def _head(method, num_classes, layers):
    """The head of a method, on a grid of the auxiliary layers' map."""
    if method == "projection":
        head = GoodnessProjection(num_classes, pooling=GRID)
        return AuxiliaryHead(layers, head) if layers else head
    if method == "caw":
        grid = [
            keras.layers.AdaptiveAveragePooling2D(GRID),
            keras.layers.Flatten(),
        ]
        head = ChannelClassAssignment(
            num_classes,
            temperature=1.0,
            # Otherwise the first step does not reach the convolutions.
            assignment_initializer=keras.initializers.RandomNormal(0.5, 0.5),
            # Published per channel; there are GRID**2 times as many rows.
            assignment_regularizers=None,
        )
        return AuxiliaryHead([*layers, *grid], head, scale=1.0)
    head = HypersphericalPrototypes(num_classes, pooling=GRID)
    identity = [keras.layers.Identity()]
    return AuxiliaryHead(layers or identity, head, scale=16.0)
