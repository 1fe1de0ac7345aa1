"""The local step of one layer, as a program of its own."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from keras_ff import keras_private
from keras_ff.device.exporting.names import state_name
from keras_ff.device.exporting.program import Signature
from keras_ff.models.trainers.gradients import Gradients


class TrainSignature:
    """What a device runs to train one local layer.

    `features, new weights, loss, goodness = train(features, labels, weights)`

    Args:
        model: a compiled `ForwardOnlyModel`.
        stage: the `Stage` of the layer and of those before it that only run
            forward.
        tensors: dict from the keys of symbolic tensors to pairs of their name
            and their shape, without the batch.
        names: the `Names` of the model.
        optimizer: a `keras.optimizers.Optimizer`.
        labels: pair of the shape and the dtype of a batch of labels.

    Attributes:
        signature: the traced `Signature`.
        entry: what `training.json` says of the layer.
        values: dict from names to the arrays that the program starts with.
    """

    def __init__(self, model, stage, tensors, names, optimizer, labels):
        self._model = model
        self._stage = stage
        self._layer = layer = model.local_layers[stage.exit]
        self._takes = sorted(stage.takes, key=lambda key: tensors[key][0])
        self._gives = sorted(stage.gives, key=lambda key: tensors[key][0])
        variables = unique(v for part in stage.parts for v in part.variables)
        self._weights = [v for v in variables if names.is_kept(v)]
        self._epochs = [v for v in variables if names.counts_epochs(v)]
        self._constants = [
            v
            for v in variables
            if not names.is_kept(v) and not names.counts_epochs(v)
        ]
        self._optimizer = None
        if layer.trainable_variables:
            self._optimizer = keras_private.stateless_optimizer(
                optimizer, layer.trainable_variables
            )
        state = self._optimizer.variables if self._optimizer else []
        batch = labels[0][0]
        specs: dict[str, Any] = {
            f"features_{i}": ((batch, *tensors[key][1]), tensors[key][2])
            for i, key in enumerate(self._takes)
        }
        specs["labels"] = labels
        specs["sample_weight"] = ((batch,), "float32")
        specs["epoch"] = ((), "float32")
        specs.update(numbered("weight", self._weights))
        specs.update(numbered("state", state))
        self.signature = Signature("train", self._run, specs)
        self.entry = {
            "name": layer.name,
            "index": stage.exit,
            "takes": [tensors[key][0] for key in self._takes],
            "gives": [tensors[key][0] for key in self._gives],
            "alive": sorted(tensors[key][0] for key in stage.alive),
            "weights": [names.of(v) for v in self._weights],
            "states": [state_name(v) for v in state],
            "noise": [list(shape) for shape in self.signature.noise],
        }
        self.values = {names.of(v): value_of(v) for v in self._weights}
        self.values.update(zip(self.entry["states"], map(value_of, state)))

    def _run(self, given):
        model, layer = self._model, self._layer
        state = self._optimizer.variables if self._optimizer else []
        before = {
            **{f"weight_{i}": v for i, v in enumerate(self._weights)},
            **{f"state_{i}": v for i, v in enumerate(state)},
        }
        mapping = [(v, given[name]) for name, v in before.items()]
        mapping += [(v, tf.cast(given["epoch"], v.dtype)) for v in self._epochs]
        mapping += [(v, tf.constant(value_of(v))) for v in self._constants]
        features = [given[f"features_{i}"] for i in range(len(self._takes))]
        tensors = dict(zip(self._takes, features))
        labels = model._task.standardized(given["labels"])
        with keras.StatelessScope(mapping, collect_losses=True) as scope:
            gradients = Gradients(
                differentiate,
                lambda found: lambda: found,
                ops.ones(()),
                model._readout.layer_clipnorm,
            )
            for call in self._stage.walk(tensors, True):
                output = model._run_layer(
                    call, None, labels, given["sample_weight"], gradients
                )
            if self._optimizer:
                variables = layer.trainable_variables
                found, _ = gradients.of(variables)
                self._optimizer.apply(found, variables)
        outputs = {
            "loss": output.loss + output.penalty,
            "goodness": output.goodness,
        }
        for name, variable in before.items():
            value = scope.get_current_value(variable)
            if value is not None and value is not given[name]:
                outputs[name] = value
        for i, key in enumerate(self._gives):
            outputs[f"features_{i}"] = tensors[key]
        return outputs


def differentiate(part, objective, scale, before):
    """See `Gradients`; the gradients are those of `lowered` graphs."""
    scope = keras_private.scope_values()
    values = [scope[id(v)] for v in part.trainable_variables]
    loss, outputs = objective()
    gradients = tf.gradients(
        loss * scale,
        values,
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    return outputs, [tf.convert_to_tensor(g) for g in gradients]


def numbered(kind, variables):
    """Specifications of inputs that stand for variables."""
    return {
        f"{kind}_{i}": (tuple(v.shape), v.dtype)
        for i, v in enumerate(variables)
    }


def unique(variables):
    return list({id(v): v for v in variables}.values())


def value_of(variable):
    with tf.init_scope():
        return ops.convert_to_numpy(variable)
