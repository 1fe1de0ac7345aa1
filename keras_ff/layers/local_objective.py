import inspect
from typing import Any

from keras import ops

from keras_ff.checks import check_number
from keras_ff.keras_private import mask_of
from keras_ff.layers.composite_layer import CompositeLayer
from keras_ff.layers.goodness_head import score_dtype
from keras_ff.layers.tracing import symbols
from keras_ff.type_aliases import Config
from keras_ff.type_aliases import Data
from keras_ff.type_aliases import Shape
from keras_ff.type_aliases import Tensor


class LocalObjective(CompositeLayer):
    """Base class of what a local layer learns beside its goodness.

    A local layer with `objectives=[...]` minimizes the loss of its goodness
    plus `weight` times the loss of every objective. An objective sees the
    features that the next layer gets, and the labels. It is part of the
    layer: its weights are trained, clipped, saved and copied with the
    layer's. `predict` does not compute it, and exported files are without
    it; the `loss` that `fit` and `evaluate` report has it.

    A subclass implements `sample_losses(projection, labels, present)`, or
    with `goodness` as a fourth argument, for a rule that depends on the
    layer's scores too. If the features shall go through layers with weights
    first, it sets `self.projection`, a Keras layer, in its constructor.

    The losses of the samples are reduced as the model's loss does, the mean
    over the batch by default. Samples are compared within a batch. With
    several replicas each compares its own part of the batch on TensorFlow
    and PyTorch; on JAX the batch is one.

    Args:
        weight: float, at least 0, over the loss of the goodness. Optimizers
            that do not heed the scale of a gradient (Adam, Muon) make the
            same step for weights `a` of the goodness and `b` of this as for
            the `weight` `b / a`. Defaults to `1.0`.
        **kwargs: base layer keyword arguments (`name`, `dtype`,
            `trainable`).

    Attributes:
        needs_classes: bool, whether it takes class labels only, and is
            refused in regression and with several classes a sample. Defaults
            to `False`.

    Call arguments:
        features: what the next layer gets, `(batch, ..., channels)`.
        labels: rows of class probabilities, `(batch, num_classes)`; in
            regression the targets.
        sample_weight: `(batch,)`; only which are zero matters here.
        training: bool, whether the projection trains.
        goodness: the layer's scores, `(batch, num_classes)`.

    Output shape:
        `(batch,)`, a float32 loss of every sample.

    Raises:
        ValueError: if `weight` is negative or not finite.
        TypeError: if `weight` is no number.

    Example:

    ```python
    @keras.saving.register_keras_serializable(package="my_layers")
    class SmallFeatures(keras_ff.objectives.LocalObjective):
        def sample_losses(self, projection, labels, present):
            axes = tuple(range(1, len(projection.shape)))
            return ops.mean(ops.square(projection), axis=axes)
    ```
    """

    needs_classes = False

    def __init__(self, weight: float = 1.0, **kwargs: Any) -> None:
        # Labels and weights stay in float32; the projection casts itself.
        super().__init__(autocast=False, **kwargs)
        self.weight = check_number("weight", weight)
        self.projection = None
        parameters = inspect.signature(self.sample_losses).parameters
        self._sees_goodness = "goodness" in parameters

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        if self.projection is not None:
            self.projection(symbols(input_shape, self.compute_dtype))

    def call(
        self,
        features: Tensor,
        labels: Tensor,
        sample_weight: Data,
        training: bool | None = None,
        goodness: Tensor | None = None,
    ) -> Tensor:
        dtype = score_dtype(self)
        projection = self.project(features)
        if mask_of(features) is not None and len(projection.shape) > 2:
            raise ValueError(
                f"'{self.name}' ({type(self).__name__}) compares whole "
                "sequences, and gets some with a mask: padding would change "
                "its losses. Let its projection pool under the mask, as "
                "keras_ff.objectives.SupervisedContrast(pooling='average') "
                "does. Received: features of shape "
                f"{tuple(features.shape)}"
            )
        present = ops.not_equal(sample_weight, 0)
        given = [projection, labels, present]
        if self._sees_goodness:
            given.append(goodness)
        losses = self.sample_losses(*(ops.cast(x, dtype) for x in given))
        shape = getattr(losses, "shape", None)
        if shape is None or len(shape) != 1:
            received = (
                f"losses of shape {tuple(shape)}"
                if shape is not None
                else f"{losses!r} of type {type(losses).__name__}"
            )
            raise ValueError(
                f"{type(self).__name__}.sample_losses must return a loss of "
                f"every sample, of shape (batch,). Received: {received}"
            )
        return losses

    def compute_mask(
        self, inputs: Tensor, previous_mask: Tensor | None = None
    ) -> None:
        """`None`: losses are of samples."""

    def project(self, features: Tensor) -> Tensor:
        """What of the features is compared."""
        if self.projection is None:
            return features
        return self.projection(features)

    def sample_losses(
        self, projection: Tensor, labels: Tensor, present: Tensor
    ) -> Tensor:
        """A loss of every sample.

        Args:
            projection: the features, after `self.projection` if there is one,
                float32.
            labels: rows of class probabilities, `(batch, num_classes)`.
            present: `(batch,)`, 0 for the samples of weight zero, such as
                padding, which must not change the losses of the others; 1 for
                all others. What is returned is weighted later.
            goodness: the layer's scores, `(batch, num_classes)`, float32;
                only if this method has an argument of that name, the last
                one.

        Returns:
            Tensor of shape `(batch,)`.
        """
        raise NotImplementedError(
            f"{type(self).__name__} needs a method `sample_losses(projection, "
            "labels, present)` that returns a loss of every sample, of shape "
            "(batch,)."
        )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0],)

    def get_config(self) -> Config:
        config = super().get_config()
        config["weight"] = self.weight
        return config
