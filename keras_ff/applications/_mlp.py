from collections.abc import Sequence

import keras

from keras_ff.applications.architecture import architecture
from keras_ff.applications.builder import Builder
from keras_ff.methods import Method
from keras_ff.type_aliases import Config


@architecture("dense")
def mlp(
    input_shape: Sequence[int],
    num_classes: int,
    method: str | Method | type[Method] = "caw",
    width_multiplier: float = 1.0,
    units: Sequence[int] = (2000, 2000, 2000),
    dropout: float | None = None,
    input_normalization: bool = True,
    preprocessing: Sequence[keras.layers.Layer] = (),
    model_options: Config | None = None,
    layer_options: Config | None = None,
) -> keras.Model:
    """A dense network.

    The input is flattened; every layer has ReLU, dropout and layer
    normalization (with `"prototype"`, division by the root mean square).

    Args:
        input_shape: shape of one sample.
        {arguments}
        units: the widths of the layers. Defaults to three of 2000.

    {outcome}

    Example:

    ```python
    model = keras_ff.applications.mlp((28, 28, 1), 10, units=(1000, 1000))
    ```

    Reference:

    - [Hinton, 2022](https://arxiv.org/abs/2212.13345), dense networks
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
    x = build.start
    if None in x.shape[1:]:
        raise ValueError(
            "Dense layers need samples of known size. Received: samples of "
            f"shape {x.shape[1:]}"
        )
    if len(x.shape) > 2:
        x = keras.layers.Flatten()(x)
    for width in units:
        x = build.dense(x, width)
    return build.finish()
