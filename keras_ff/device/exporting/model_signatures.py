"""What a device runs to predict and to evaluate, whole models at once."""

import keras
import tensorflow as tf

from keras_ff.device.exporting.program import Signature
from keras_ff.device.exporting.train_signature import numbered
from keras_ff.device.exporting.train_signature import value_of


class ModelSignatures:
    """The signatures `predict`, `goodness` and `evaluate` of a model.

    Args:
        model: a compiled `ForwardOnlyModel`.
        names: the `Names` of the model.
        labels: pair of the shape and the dtype of a batch of labels.

    Attributes:
        signatures: list of `Signature`s, of one program.
        entry: what `training.json` says of them.
        values: dict from names to the arrays that the programs start with.
    """

    def __init__(self, model, names, labels):
        self._model = model
        self._weights = dict(names.by_name)
        self._epochs = names.epochs
        batch = labels[0][0]
        inputs = {
            f"features_{i}": ((batch, *x.shape[1:]), x.dtype)
            for i, x in enumerate(model.inputs)
        }
        rest = {
            "epoch": ((), "float32"),
            **numbered("weight", self._weights.values()),
        }
        told = {"labels": labels, "sample_weight": ((batch,), "float32")}
        self.signatures = [
            Signature("predict", self._predict, {**inputs, **rest}),
            Signature("goodness", self._goodness, {**inputs, **rest}),
            Signature("evaluate", self._evaluate, {**inputs, **told, **rest}),
        ]
        self.entry = {"weights": list(self._weights)}
        self.values = {name: value_of(v) for name, v in self._weights.items()}

    def with_weights(self, epoch):
        """`predict` with the weights of now as constants."""
        constants = {
            f"weight_{i}": value for i, value in enumerate(self.values.values())
        }
        constants["epoch"] = epoch

        def predict(given):
            fixed = {key: tf.constant(x) for key, x in constants.items()}
            return self._predict({**given, **fixed})

        specs = self.signatures[0].specs
        inputs = [key for key in specs if key.startswith("features_")]
        return Signature(
            "predict", predict, {key: specs[key] for key in inputs}
        )

    def _predict(self, given):
        with self._scope(given):
            prediction = self._model(self._inputs(given), training=False)
        return {"prediction": prediction}

    def _goodness(self, given):
        with self._scope(given):
            walk = self._model._graph.walk(self._inputs(given), False)
            goodness = {call.index: call.run() for call in walk}
        found = [goodness[i] for i in range(len(goodness))]
        return {"goodness": tf.stack(found, axis=1)}

    def _evaluate(self, given):
        model = self._model
        labels = model._task.standardized(given["labels"])
        with self._scope(given):
            batch = model._local_pass(
                self._inputs(given), labels, given["sample_weight"]
            )
            votes = model._readout.votes()
            losses = [
                votes[i] * (output.loss + output.penalty)
                for i, output in enumerate(batch.outputs)
            ]
        return {"loss": sum(losses), "prediction": batch.prediction}

    def _inputs(self, given):
        inputs = [
            given[f"features_{i}"] for i in range(len(self._model.inputs))
        ]
        return inputs if len(inputs) > 1 else inputs[0]

    def _scope(self, given):
        mapping = [
            (v, given[f"weight_{i}"])
            for i, v in enumerate(self._weights.values())
        ]
        mapping += [(v, tf.cast(given["epoch"], v.dtype)) for v in self._epochs]
        return keras.StatelessScope(mapping, collect_losses=True)
