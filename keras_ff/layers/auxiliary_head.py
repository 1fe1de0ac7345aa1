from collections.abc import Sequence
from typing import Any
from typing import Self

import keras
from keras import ops

from keras_ff.layers.check_scores import check_scores
from keras_ff.layers.composite_layer import serialize_part
from keras_ff.layers.goodness_head import GoodnessHead
from keras_ff.layers.masks import check_takes_mask
from keras_ff.layers.masks import pass_masks
from keras_ff.layers.masks import with_mask
from keras_ff.layers.tracing import symbols
from keras_ff.layers.tracing import trace
from keras_ff.type_aliases import Config
from keras_ff.type_aliases import Shape
from keras_ff.type_aliases import Tensor


@keras.saving.register_keras_serializable(package="keras_ff")
class AuxiliaryHead(GoodnessHead):
    """A goodness head that looks through layers of its own.

    `goodness = scale * head(layers(activation))`. The layers (an auxiliary
    convolution, as in HFF) are trained by the local loss, and what the next
    local layer gets does not pass through them.

    Args:
        layers: a Keras layer or a list of them, from the activation to what
            `head` takes.
        head: a goodness head, a Keras layer with `num_classes`.
        scale: positive float, what the goodness is multiplied by at the
            start, and learned from there: cosines need one to be logits.
            `None` does not scale. Defaults to `None`.
        **kwargs: base layer keyword arguments (`name`, `dtype`).

    Input shape:
        That of the first of `layers`.

    Output shape:
        `(batch, num_classes)`, float32.

    Raises:
        ValueError: if there are no layers, or `scale` is not positive.
        TypeError: if `layers` are no layers, or `head` is no goodness head.

    Example:

    ```python
    block = keras_ff.layers.LocalBlock(
        keras.layers.Conv2D(64, 3, padding="same", activation="gelu"),
        goodness=keras_ff.layers.AuxiliaryHead(
            keras.layers.Conv2D(128, 3, padding="same", activation="gelu"),
            keras_ff.layers.HypersphericalPrototypes(10, pooling=2),
            scale=16.0,
        ),
    )
    ```

    An assignment of CAW-Conv for every cell of a grid, which sees where a
    feature is:

    ```python
    keras_ff.layers.AuxiliaryHead(
        [
            keras.layers.AdaptiveAveragePooling2D(2),
            keras.layers.Flatten(),
        ],
        keras_ff.layers.ChannelClassAssignment(10, temperature=1.0),
    )
    ```

    Reference:

    - [Sarode et al., 2026](https://arxiv.org/abs/2605.00082)
    - [Belilovsky et al., 2019](https://arxiv.org/abs/1812.11446)
    """

    # As few as its head may have.
    _fewest_columns = 1

    def __init__(
        self,
        layers: keras.layers.Layer | Sequence[keras.layers.Layer],
        head: keras.layers.Layer,
        scale: float | None = None,
        **kwargs: Any,
    ) -> None:
        many = isinstance(layers, (list, tuple))
        layers = list(layers) if many else [layers]
        if not layers:
            raise ValueError(
                "`layers` must hold at least one Keras layer. "
                f"Received: layers={layers}"
            )
        for layer in [*layers, head]:
            if not isinstance(layer, keras.Layer):
                raise TypeError(
                    "`layers` and `head` of an AuxiliaryHead must be Keras "
                    f"layers. Received: {layer!r} of type "
                    f"{type(layer).__name__}"
                )
        if not hasattr(head, "num_classes"):
            raise TypeError(
                "`head` must be a goodness head, a layer with `num_classes`. "
                f"Received: {head!r} of type {type(head).__name__}"
            )
        if scale is not None and not 0 < scale < float("inf"):
            raise ValueError(
                "`scale` must be positive and finite, or None. "
                f"Received: scale={scale}"
            )
        super().__init__(head.num_classes, **kwargs)
        self.layers: list[Any] = layers
        self.head = head
        self.scale = scale

    @property
    def independent_classes(self) -> bool:
        return getattr(self.head, "independent_classes", False)

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        inputs = symbols(tuple(input_shape), self.compute_dtype)
        for layer in [*self.layers, self.head]:
            pass_masks(layer)
        check_scores(self.head, trace(self.layers, inputs), self)
        if self.scale is not None:
            self.learned_scale = self.add_weight(
                name="scale",
                shape=(),
                initializer=keras.initializers.Constant(self.scale),
                dtype=self.score_dtype,
                autocast=False,
            )

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        x = with_mask(inputs, mask)
        for layer in self.layers:
            check_takes_mask(layer, x, self)
            x = layer(x)
        check_takes_mask(self.head, x, self)
        goodness = ops.cast(self.head(x), self.score_dtype)
        if self.scale is not None:
            goodness = goodness * self.learned_scale
        return goodness

    def get_config(self) -> Config:
        config = super().get_config()
        # Its head knows the number of classes.
        del config["num_classes"]
        config.update(
            layers=[serialize_part(layer, self) for layer in self.layers],
            head=serialize_part(self.head, self),
            scale=self.scale,
        )
        return config

    @classmethod
    def from_config(cls, config: Config) -> Self:
        revive = keras.saving.deserialize_keras_object
        config = dict(config)
        config["layers"] = [revive(layer) for layer in config["layers"]]
        config["head"] = revive(config["head"])
        return super().from_config(config)
