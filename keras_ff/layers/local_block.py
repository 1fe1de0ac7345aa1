from collections.abc import Sequence
from typing import Any
from typing import Self

import keras

from keras_ff.layers.composite_layer import serialize_part
from keras_ff.layers.local_layer import LocalLayer
from keras_ff.layers.local_layer import Objectives
from keras_ff.layers.normalization import get_normalization
from keras_ff.layers.normalization import serialize_normalization
from keras_ff.type_aliases import Config
from keras_ff.type_aliases import Normalization


@keras.saving.register_keras_serializable(package="keras_ff")
class LocalBlock(LocalLayer):
    """Makes any Keras layers one local layer.

    Backpropagation runs inside the block only: from its local loss through
    the goodness head and `layers` to the block's stop-gradiented input.

    Args:
        layers: a Keras layer (a `keras.Model` too) or a list of them, applied
            in order.
        goodness: the head, a Keras layer from the activation to class scores
            of shape `(batch, num_classes)`, for instance
            `keras_ff.layers.GoodnessProjection(num_classes)`.
        normalization: what the activation passes through on its way to the
            next layer: `"instance"`, `"group"` (as many groups as classes),
            `"layer"`, `"rms"`, a Keras layer without trainable weights, or
            `None`. Defaults to `None`.
        objectives: list of what the block learns beside the loss of its
            goodness, see `keras_ff.objectives`. Defaults to `None`.
        **kwargs: base layer keyword arguments (`name`, `dtype`).

    Call arguments:
        inputs: whatever the first of `layers` takes.
        training: bool, whether the block trains.

    Input shape:
        That of the first of `layers`.

    Output shape:
        A pair `(features, goodness)`: the shape of the last of `layers`, and
        `(batch, num_classes)`.

    Raises:
        ValueError: if there are no layers, or `normalization` is unknown or
            has trainable weights.

    Example:

    ```python
    block = keras_ff.layers.LocalBlock(
        [
            keras.layers.Conv2D(32, 3, padding="same", use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
        ],
        goodness=keras_ff.layers.GoodnessProjection(10),
    )
    features, goodness = block(images)
    ```
    """

    def __init__(
        self,
        layers: keras.layers.Layer | Sequence[keras.layers.Layer],
        goodness: keras.layers.Layer,
        normalization: Normalization | None = None,
        objectives: Objectives | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(objectives=objectives, **kwargs)
        many = isinstance(layers, (list, tuple))
        layers = list(layers) if many else [layers]
        if not layers:
            raise ValueError(
                "`layers` must hold at least one Keras layer. "
                f"Received: layers={layers}"
            )
        for layer in [*layers, goodness]:
            if not isinstance(layer, keras.Layer):
                raise TypeError(
                    "`layers` and `goodness` of a LocalBlock must be Keras "
                    f"layers. Received: {layer!r} of type "
                    f"{type(layer).__name__}"
                )
        self.layers = layers
        self.head = goodness
        self._normalization_argument = normalization
        self.normalization = get_normalization(
            normalization,
            num_classes=getattr(goodness, "num_classes", None),
            dtype=self.dtype_policy,
            data_format=getattr(goodness, "data_format", None),
            name="normalization",
        )

    def get_config(self) -> Config:
        config = super().get_config()
        config["layers"] = [
            serialize_part(layer, self) for layer in self.layers
        ]
        config["goodness"] = serialize_part(self.head, self)
        config["normalization"] = serialize_normalization(self)
        config.setdefault("objectives", None)
        return config

    @classmethod
    def from_config(cls, config: Config) -> Self:
        revive = keras.saving.deserialize_keras_object
        config = dict(config)
        config["layers"] = [revive(layer) for layer in config["layers"]]
        config["goodness"] = revive(config["goodness"])
        return super().from_config(config)
