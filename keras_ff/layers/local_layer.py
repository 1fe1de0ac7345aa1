from collections.abc import Sequence
from typing import Any
from typing import Self
from typing import TypeAlias

import keras
from keras import ops
from keras import tree

from keras_ff.keras_private import mask_of
from keras_ff.layers.attached_mask import AttachedMask
from keras_ff.layers.check_scores import check_scores
from keras_ff.layers.composite_layer import CompositeLayer
from keras_ff.layers.composite_layer import serialize_part
from keras_ff.layers.goodness_head import score_dtype
from keras_ff.layers.local_objective import LocalObjective
from keras_ff.layers.masks import check_takes_mask
from keras_ff.layers.masks import pass_masks
from keras_ff.layers.masks import stop_gradient
from keras_ff.layers.masks import with_mask
from keras_ff.layers.masks import without_mask
from keras_ff.layers.tracing import symbols
from keras_ff.layers.tracing import trace
from keras_ff.layers.tracing import without_history
from keras_ff.type_aliases import Config
from keras_ff.type_aliases import Shape
from keras_ff.type_aliases import Tensor

Objectives: TypeAlias = LocalObjective | Sequence[LocalObjective]


class LocalLayer(CompositeLayer):
    """Base class of layers that learn from their own loss only.

    A local layer stops the gradient at its input, runs its sub-layers,
    scores the classes with a goodness head and hands its normalized
    activation on. No gradient enters or leaves it.

    A subclass sets three attributes in its constructor, after
    `super().__init__(**kwargs)`:

    - `layers`: list of Keras layers from the input to the activation;
    - `head`: the goodness head, a Keras layer from the activation to class
      scores of shape `(batch, num_classes)`;
    - `normalization`: a Keras layer from the activation to the features, or
      `None`. Its weights, if any, must not be trainable: no local loss would
      reach them.

    Masks of steps, which Keras attaches to tensors, go on with the features
    as in `keras.Sequential`. The head gets them, too, and leaves out what is
    padding.

    `keras_ff.layers.LocalBlock` makes a local layer without subclassing.

    Args:
        objectives: list of `keras_ff.objectives.LocalObjective`s that the
            layer learns beside the loss of its goodness, in a
            `keras_ff.models.ForwardOnlyModel`. Defaults to `None`.
        **kwargs: base layer keyword arguments (`name`, `dtype`,
            `trainable`).

    Call arguments:
        inputs: tensor, or whatever the first of `layers` takes.
        training: bool, whether the layer trains (dropout and the like).
        keep_gradient: bool, whether the features keep the gradient to the
            layer, for its objectives. Defaults to `False`.

    Output shape:
        A pair `(features, goodness)`: the normalized activation, and float32
        class scores of shape `(batch, num_classes)`, used as logits (float64
        under a policy of float64).

    Example:

    ```python
    @keras.saving.register_keras_serializable(package="my_layers")
    class LocalDense(keras_ff.layers.LocalLayer):
        def __init__(self, units, num_classes, **kwargs):
            super().__init__(**kwargs)
            self.units, self.num_classes = units, num_classes
            # Parts of the same name in every copy of the layer.
            self.layers = [
                keras.layers.Dense(units, activation="relu", name="dense")
            ]
            self.head = keras_ff.layers.GoodnessProjection(
                num_classes, name="head"
            )

        def get_config(self):
            config = {"units": self.units, "num_classes": self.num_classes}
            return {**super().get_config(), **config}
    ```
    """

    def __init__(
        self, objectives: Objectives | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.objectives = _checked(objectives)
        self.normalization = None
        self._input_dtypes = None

    @property
    def goodness(self) -> keras.layers.Layer:
        """The former name of `head`, for one release."""
        return self.head

    def __setattr__(self, name, value):
        # Modules of PyTorch do not ask a property's setter.
        super().__setattr__("head" if name == "goodness" else name, value)

    def __dir__(self):
        # Keras saves what it finds here, under this name.
        return [name for name in super().__dir__() if name != "goodness"]

    def __call__(
        self, inputs: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        if not self.built:
            # `build` is told no more than shapes.
            self._input_dtypes = [_dtype(x) for x in tree.flatten(inputs)]
        features, goodness = super().__call__(inputs, *args, **kwargs)
        mask = mask_of(features)
        if mask is not None and isinstance(features, keras.KerasTensor):
            features = with_mask(features, AttachedMask(mask.shape)(features))
        return features, goodness

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        if not isinstance(self.normalization, keras.Layer | None):
            raise TypeError(
                f"`normalization` of local layer '{self.name}' must be a Keras "
                "layer without trainable weights, or None. `LocalBlock` makes "
                "one of a name. Received: "
                f"normalization={self.normalization!r}"
            )
        for layer in [*self.layers, self.head]:
            pass_masks(layer)
        activation = trace(self.layers, self._symbolic_inputs(input_shape))
        check_scores(self.head, activation, self)
        if self.normalization is not None:
            self.normalization(activation)
            if self.normalization.trainable_variables:
                raise ValueError(
                    f"The normalization of local layer '{self.name}' has "
                    "trainable weights that no local loss reaches. Switch "
                    "them off (for instance with `center=False, "
                    "scale=False`) or put the layer into `layers`. "
                    f"Received: normalization={self.normalization}"
                )
        for objective in self.objectives:
            if not objective.built:
                objective.build(activation.shape)
            _check_sees_something(objective, self)

    def _symbolic_inputs(self, shape):
        inputs = symbols(shape, self.layers[0].compute_dtype)
        flat = tree.flatten(inputs)
        dtypes = self._input_dtypes or [None] * len(flat)
        return tree.pack_sequence_as(
            inputs,
            [
                keras.KerasTensor(x.shape, d or x.dtype)
                for x, d in zip(flat, dtypes)
            ],
        )

    def get_build_config(self) -> Config | None:
        config = super().get_build_config()
        if config and self._input_dtypes:
            config["input_dtypes"] = list(self._input_dtypes)
        return config

    def build_from_config(self, config: Config) -> None:
        config = dict(config or {})
        self._input_dtypes = config.pop("input_dtypes", None)
        super().build_from_config(config)

    def activate(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """The activation that the goodness head sees."""
        activation = tree.map_structure(stop_gradient, inputs)
        for layer in self.layers:
            activation = layer(activation)
        return activation

    def call(
        self,
        inputs: Tensor,
        training: bool | None = None,
        keep_gradient: bool = False,
    ) -> tuple[Tensor, Tensor]:
        activation = self.activate(inputs, training)
        check_takes_mask(self.head, activation, self)
        goodness = self.head(activation)
        features = activation
        if not keep_gradient:
            # Before the normalization: it then keeps nothing for a gradient.
            features = stop_gradient(features)
        if self.normalization is not None:
            features = self.normalization(features)
        goodness = ops.cast(goodness, score_dtype(self.head))
        # A loss would take a mask for weights.
        return features, without_mask(goodness)

    def compute_mask(
        self, inputs: Tensor, previous_mask: Tensor | None = None
    ) -> None:
        """`None`: the features have that of the activation already."""

    def compute_output_shape(self, input_shape: Shape) -> Any:
        if not self.built:
            self.build(input_shape)
        outputs = self.compute_output_spec(self._symbolic_inputs(input_shape))
        return tuple(output.shape for output in outputs)

    def compute_output_spec(
        self,
        inputs: Tensor,
        training: bool | None = None,
        keep_gradient: bool = False,
    ) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        activation = trace(self.layers, without_history(inputs))
        check_takes_mask(self.head, activation, self)
        goodness = self.head(activation)
        features = activation
        if self.normalization is not None:
            features = self.normalization(activation)
        return (
            without_history(features),
            keras.KerasTensor(goodness.shape, score_dtype(self.head)),
        )

    def __repr__(self):
        parts = [type(x).__name__ for x in getattr(self, "layers", ())]
        return (
            f"<{type(self).__name__} name={self.name}, "
            f"layers=[{', '.join(parts)}], "
            f"head={getattr(self, 'head', None)!r}, built={self.built}>"
        )

    def get_config(self) -> Config:
        config = super().get_config()
        if self.objectives:
            config["objectives"] = [
                serialize_part(objective, self) for objective in self.objectives
            ]
        return config

    @classmethod
    def from_config(cls, config: Config) -> Self:
        config = dict(config)
        if config.get("objectives"):
            config["objectives"] = [
                keras.saving.deserialize_keras_object(objective)
                for objective in config["objectives"]
            ]
        return super().from_config(config)


def _checked(objectives):
    """The objectives as a list; raises if one is none."""
    if isinstance(objectives, LocalObjective):
        objectives = [objectives]
    if not isinstance(objectives, (list, tuple, type(None))):
        objectives = [objectives]
    objectives = list(objectives or [])
    for i, objective in enumerate(objectives):
        if not isinstance(objective, LocalObjective):
            raise TypeError(
                "`objectives` must be a list of "
                "`keras_ff.objectives.LocalObjective`s, such as "
                "SupervisedContrast() and SimilarityMatching(). Received: "
                f"{objective!r} of type {type(objective).__name__}"
            )
        if any(objective is other for other in objectives[:i]):
            raise ValueError(
                f"`objectives` holds '{objective.name}' twice. Give it twice "
                "the weight instead."
            )
    return objectives


def _check_sees_something(objective, layer):
    """Raises where an objective averages maps of mean zero."""
    centered = getattr(layer.normalization, "centers_channels", False)
    if centered and getattr(objective.projection, "pooling", None) in (
        "average",
        1,
    ):
        raise ValueError(
            f"'{objective.name}' averages the map of local layer "
            f"'{layer.name}', whose normalization makes the mean of every "
            "channel zero: nothing is left. Give the objective a grid "
            "(`pooling=4`), or the layer another normalization ('layer', "
            f"'rms' or None). Received: pooling={objective.projection.pooling}"
        )


def _dtype(x):
    """The dtype of an integer tensor; `None` for others, which are cast."""
    dtype = getattr(x, "dtype", None)
    if dtype is None:
        return None
    dtype = keras.backend.standardize_dtype(dtype)
    return None if keras.backend.is_float_dtype(dtype) else dtype
