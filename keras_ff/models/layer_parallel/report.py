import keras

from keras_ff.models.trainers.local_output import LocalOutput


class Report:
    """What follows the last layer: the prediction, metrics and logs.

    Args:
        model: the model.
        kind: `"train"`, `"test"` or `"predict"`.
    """

    def __init__(self, model, kind):
        self._model = model
        self._kind = kind

    @property
    def variables(self):
        # Keras makes metrics when `fit` has begun.
        metrics = self._model.metrics_variables
        readout = self._model._readout.variables
        return readout if self._kind == "predict" else [*metrics, *readout]

    def log(self, values, data, outputs):
        """Updates the metrics with a batch.

        Args:
            values: list, as `variables`.
            data: the batch.
            outputs: by the numbers of the layers, tuples of goodness, loss
                and penalty.

        Returns:
            The new values and the logs.
        """
        model = self._model
        with self._scope(values) as scope:
            x, y, sample_weight = model._unpack(data)
            outputs = [
                LocalOutput(None, *outputs[i]) for i in range(len(outputs))
            ]
            training = self._kind == "train"
            logs = model._log_batch(
                model._as_batch(x, y, sample_weight, training, outputs)
            )
        return [scope.get_current_value(v) for v in self.variables], logs

    def combine(self, values, goodness):
        """The combined prediction, from goodness by the numbers of layers."""
        with self._scope(values):
            return self._model._readout.combine(sorted(goodness.items()))

    def _scope(self, values):
        return keras.StatelessScope(
            list(zip(self.variables, values)), collect_losses=True
        )
