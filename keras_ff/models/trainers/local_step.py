from typing import Any
from typing import NamedTuple

import keras
from keras import ops

from keras_ff import keras_private
from keras_ff.labels import check_label_shape
from keras_ff.labels import is_rows


class LocalBatch(NamedTuple):
    """A batch and what the local layers made of it.

    `target` is what the goodness of the layers was held against, `gradients`
    a dict by the identity of the variable.
    """

    x: Any
    y: Any
    sample_weight: Any
    training: bool
    target: Any
    goodness: list
    losses: list
    penalties: list
    gradients: dict
    prediction: Any


class LocalStep:
    """The part of the local step that no backend has to know."""

    def _local_pass(
        self,
        x,
        y,
        sample_weight,
        training,
        differentiate=None,
        arguments=None,
    ):
        """Runs all local layers on a batch, each with its own loss.

        Args:
            x, y, sample_weight: the batch.
            training: bool.
            differentiate: the backend's function `(layer, objective, scale,
                after) -> (outputs, gradients)`; `objective()` gives the
                layer's loss and its outputs, and waits for the tensors
                `after`. `None` if no gradients are wanted.
            arguments: see `LayerGraph.run`.

        Returns:
            A `LocalBatch`.
        """
        self._check_batch(y)
        records = {}
        gradients = {}
        found = []
        if differentiate is not None:
            scale = self.optimizer.scale_loss(ops.ones(()))

        def visit(index, layer, args, kwargs):
            nonlocal found

            def objective():
                features, goodness = layer(*args, training=training, **kwargs)
                loss = self.loss(y, goodness, sample_weight=sample_weight)
                penalty = ops.zeros(())
                for term in layer.losses:
                    penalty = penalty + keras_private.additional_loss(
                        self, term
                    )
                return loss + penalty, (features, goodness, loss, penalty)

            if differentiate is None or not layer.trainable_variables:
                _, outputs = objective()
            else:
                outputs, found = differentiate(layer, objective, scale, found)
                outputs = self._check_gradients(outputs, found)
                found = self._clip(found, scale)
                for variable, gradient in zip(layer.trainable_variables, found):
                    gradients[id(variable)] = gradient
            features, *records[index] = outputs
            return features

        self._graph.run(x, visit, training, arguments=arguments)
        goodness, losses, penalties = zip(
            *(records[i] for i in range(len(records)))
        )
        y = ops.convert_to_tensor(y)
        return LocalBatch(
            x=x,
            y=y,
            sample_weight=sample_weight,
            training=training,
            target=y,
            goodness=list(goodness),
            losses=[self._unscale(loss) for loss in losses],
            penalties=[self._unscale(penalty) for penalty in penalties],
            gradients=gradients,
            prediction=self._readout.combine(enumerate(goodness)),
        )

    def _check_batch(self, y):
        if y is None:
            raise ValueError("Labels are needed. Received: y=None")
        check_label_shape(y, self.num_classes)
        rows = is_rows(y)
        sparse = isinstance(
            self.loss, keras.losses.SparseCategoricalCrossentropy
        )
        dense = isinstance(self.loss, keras.losses.CategoricalCrossentropy)
        if (sparse and rows) or (dense and not rows):
            raise ValueError(
                f"{type(self.loss).__name__} takes "
                + ("class numbers" if sparse else "one-hot rows")
                + f". Received: labels of shape {tuple(y.shape)}. "
                "keras_ff.losses.LocalCrossentropy takes both."
            )

    def _in_order(self, gradients):
        return [gradients[id(v)] for v in self.trainable_variables]

    def _check_gradients(self, outputs, gradients):
        """Gives a layer whose gradients are not finite the loss NaN.

        Its loss need not be: TensorFlow's fused ReLU makes 0 of NaN.
        """
        if isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
            # It leaves out such steps and lowers the scale.
            return outputs
        features, goodness, loss, penalty = outputs
        total = sum(ops.cast(ops.sum(g), "float32") for g in gradients)
        loss = ops.where(ops.isfinite(total), loss, float("nan"))
        return features, goodness, loss, penalty

    def _clip(self, gradients, scale):
        limit = self._readout.layer_clipnorm
        if limit is None:
            return gradients
        # The gradients still carry the optimizer's loss scale.
        limit = limit * scale
        square = sum(
            ops.sum(ops.square(ops.cast(g, "float32"))) for g in gradients
        )
        factor = limit / ops.maximum(ops.sqrt(square), limit)
        return [g * ops.cast(factor, g.dtype) for g in gradients]

    def _seed_epoch(self, seed):
        """Seeds the backend's own generator, if Keras draws from it."""

    def _unscale(self, loss):
        """Undoes what the backend's data parallelism does to a loss."""
        return loss

    def _log_batch(self, batch):
        """Updates all metrics with a batch and returns the logs."""
        keras_private.log_loss(
            self,
            sum(batch.losses) + sum(batch.penalties),
            sample_weight=ops.shape(batch.goodness[0])[0],
        )
        self._statistics.update_state(
            batch.y,
            batch.target,
            batch.goodness,
            batch.losses,
            batch.penalties,
            batch.training,
        )
        return self.compute_metrics(
            batch.x, batch.y, batch.prediction, batch.sample_weight
        )
