import functools
from typing import Any

import keras
from keras import ops
from keras import tree

from keras_ff import keras_private
from keras_ff.layers import LocalLayer
from keras_ff.models.graph import goodness_tensors
from keras_ff.models.local_loss_model import LocalLossModel
from keras_ff.models.trainers.local_output import LocalOutput


@keras.saving.register_keras_serializable(package="keras_ff")
class DeepSupervisionModel(LocalLossModel):
    """All local losses, but gradients cross the layers.

    The baseline between local learning and backpropagation: every layer has
    a goodness head and a loss of its own, and the sum of the losses is
    differentiated end to end. What a `ForwardOnlyModel` of the same layers
    loses against it is the price of locality alone.

    It is a functional model: `DeepSupervisionModel(inputs, outputs)` with
    `outputs` the goodness of the layers, all of shape `(batch, num_classes)`.
    Calling it, `predict` and metrics give their sum, in regression their mean.
    Labels, weights and losses are checked as those of a `ForwardOnlyModel` are.

    Args:
        inputs, outputs, name, trainable: as in `keras.Model`.

    Raises:
        TypeError: if there are no outputs, or in `compile`, if `loss` is
            none.
        ValueError: if a layer is a local one, or in `compile`, if `loss` does
            not take logits.

    Example:

    ```python
    model = keras_ff.applications.tiny_cnn(
        (32, 32, 3), 10, method="deep_supervision"
    )
    model.compile("adam", loss=keras_ff.losses.LocalCrossentropy())
    ```

    Reference:

    - [Lee et al., 2015](https://arxiv.org/abs/1409.5185)
    """

    @keras_private.like_model
    def __init__(
        self,
        inputs: Any = None,
        outputs: Any = None,
        *,
        name: str | None = None,
        trainable: bool | None = None,
    ) -> None:
        if inputs is None or outputs is None:
            raise TypeError(
                "A DeepSupervisionModel takes its inputs and its outputs, the "
                f"goodness of its layers. Received: inputs={inputs!r}, "
                f"outputs={outputs!r}"
            )
        super().__init__(None, inputs, outputs, name, trainable)
        self._check_not_local()
        goodness = goodness_tensors(self, self._readout)
        heads = keras.Model(self.input, goodness, name=f"{self.name}_goodness")
        # Not as an attribute: the model would hold its layers twice.
        self._run_layers = functools.partial(_run, heads)

    def _check_not_local(self):
        for layer in keras_private.all_layers(self):
            if isinstance(layer, LocalLayer):
                raise ValueError(
                    f"Layer '{layer.name}' ({type(layer).__name__}) is a local "
                    "layer: it stops the gradient and its objectives are its "
                    "own, so nothing would be supervised through it. Make a "
                    "ForwardOnlyModel of it, or use Keras's layers, with a "
                    "goodness head on each, for instance "
                    "keras_ff.layers.GoodnessProjection(num_classes)."
                )

    def _heads(self):
        heads = map(
            keras_private.producer, goodness_tensors(self, self._readout)
        )
        return {head.name: head for head in heads}

    def _learning_parts(self):
        return [self] if self.trainable_variables else []

    def _local_pass(self, x, y, sample_weight, gradients=None):
        training = gradients is not None

        def joint_loss():
            goodness, penalty = self._run_layers(x, training)
            losses = [
                self._share(
                    self._loss_of(name, x, y, z, sample_weight, training),
                    self.loss,
                )
                for name, z in zip(self._statistics.names, goodness)
            ]
            penalty = self._share(penalty)
            return sum(losses) + penalty, (goodness, losses, penalty)

        learns = training and self.trainable_variables
        if learns:
            found, finite = gradients.learn(self, joint_loss)
        else:
            _, found = joint_loss()
        goodness, losses, penalty = found
        outputs = [
            # Every loss answers for its share of the penalty.
            LocalOutput(None, z, loss, penalty / len(losses))
            for z, loss in zip(goodness, losses)
        ]
        if learns:
            outputs = [self._marked(output, finite) for output in outputs]
        return self._as_batch(x, y, sample_weight, training, outputs)


def _run(model, x, training):
    """The goodness of every layer of a model, and the sum of its penalties."""
    goodness = tree.flatten(model(x, training=training))
    penalty = ops.zeros((), "float32")
    for term in model.losses:
        term = keras_private.additional_loss(model, term)
        penalty = penalty + ops.cast(term, "float32")
    return goodness, penalty
