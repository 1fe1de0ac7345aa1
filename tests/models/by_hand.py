"""Local losses by plain automatic differentiation of the whole network.

The layers are called one after the other, all local losses are summed, and
one gradient of the sum is taken: no part of `keras_ff.models` is used.
"""

import keras
import numpy as np
from keras import ops
from tiny_models import numpy

BACKEND = keras.backend.backend()


class ByHand:
    """One gradient of the summed local losses.

    Args:
        model: the owner of the layers.
        goodness: function `(get, x) -> list` of the goodness of every local
            layer in training; `get(name)` gives a layer of the model.
        loss_scale: float, what the loss is multiplied by before it is
            differentiated; the gradients are divided by it.
        only: the number of the one layer whose loss counts, or `None`.
    """

    def __init__(self, model, goodness, loss_scale=1.0, only=None):
        self.variables = model.trainable_variables
        trained = {id(v) for v in self.variables}
        self.others = [v for v in model.variables if id(v) not in trained]
        self._model = model
        self._goodness = goodness
        self._loss_scale = loss_scale
        self._only = only
        self._compiled = None

    def gradients(self, x, y, sample_weight=None):
        """Losses of all layers and the gradients, in NumPy.

        Statistics and random generators advance as in a training step.
        """
        x = keras.tree.map_structure(lambda a: np.asarray(a, "float32"), x)
        if sample_weight is None:
            sample_weight = np.ones(len(y), "float32")
        batch = x, np.asarray(y, "int32"), sample_weight
        run = {
            "tensorflow": self._tensorflow,
            "jax": self._jax,
            "torch": self._torch,
        }[BACKEND]
        losses, gradients = run(*batch)
        gradients = [
            np.zeros(v.shape, "float32")
            if g is None
            else numpy(g) / self._loss_scale
            for v, g in zip(self.variables, gradients)
        ]
        return numpy(losses), gradients

    def sgd(self, rates, x, y):
        """One step of gradient descent; a learning rate a variable."""
        losses, gradients = self.gradients(x, y)
        for variable, rate, gradient in zip(self.variables, rates, gradients):
            variable.assign(numpy(variable) - np.float32(rate) * gradient)
        return losses

    def _losses(self, x, y, sample_weight):
        losses = []
        scores = self._goodness(self._model.get_layer, x)
        for layer, goodness in zip(self._model.local_layers, scores):
            log_p = ops.log_softmax(ops.cast(goodness, "float32"))
            picked = ops.sum(
                log_p * ops.one_hot(y, goodness.shape[-1]), axis=-1
            )
            loss = -ops.sum(picked * sample_weight) / len(y)
            losses.append(loss + sum(layer.losses))
        if self._only is None:
            total = sum(losses)
        else:
            total = losses[self._only]
        return total * self._loss_scale, ops.stack(losses)

    def _tensorflow(self, *batch):
        import tensorflow as tf

        batch = keras.tree.map_structure(tf.convert_to_tensor, batch)
        values = [v.value for v in self.variables]
        with tf.GradientTape() as tape:
            total, losses = self._losses(*batch)
        return losses, tape.gradient(total, values)

    def _torch(self, *batch):
        import torch

        batch = keras.tree.map_structure(torch.as_tensor, batch)
        for variable in self.variables:
            variable.value.grad = None
        total, losses = self._losses(*batch)
        total.backward()
        gradients = [v.value.grad for v in self.variables]
        for variable in self.variables:
            variable.value.grad = None
        return losses.detach(), gradients

    def _jax(self, *batch):
        import jax

        def total(values, other_values, batch):
            mapping = [
                *zip(self.variables, values),
                *zip(self.others, other_values),
            ]
            with keras.StatelessScope(mapping, collect_losses=True) as scope:
                total, losses = self._losses(*batch)
            updated = [scope.get_current_value(v) for v in self.others]
            return total, (losses, updated)

        if self._compiled is None:
            self._compiled = jax.jit(jax.grad(total, has_aux=True))
        gradients, (losses, updated) = self._compiled(
            [v.value for v in self.variables],
            [v.value for v in self.others],
            batch,
        )
        for variable, value in zip(self.others, updated):
            variable.assign(value)
        return losses, gradients


def chain(*names):
    """The `goodness` of a `ByHand` for layers in a row.

    Names of local layers and of plain ones; a function is called as it is.
    """

    def goodness(get, x):
        scores = []
        for name in names:
            if callable(name):
                x = name(x)
                continue
            layer = get(name)
            if hasattr(layer, "goodness"):
                x, score = layer(x, training=True)
                scores.append(score)
            else:
                x = layer(x)
        return scores

    return goodness
