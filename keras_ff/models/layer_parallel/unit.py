import keras
from keras import ops

from keras_ff.keras_private import attach_mask
from keras_ff.keras_private import mask_of
from keras_ff.labels import count_wrong_weights


class Unit:
    """A local layer and what comes before it, as functions of its variables.

    Where nothing is learned, it may be several local layers.

    Args:
        model: the model.
        part: a `Stage` of the model's graph.
        takes_samples: bool, whether it comes first.
        optimizer_variables: list of those that its layer needs to learn.
    """

    def __init__(self, model, part, takes_samples, optimizer_variables=()):
        self.takes = part.takes
        self.alive = part.alive
        self.needs_samples_later = model._losses_take_samples()
        self._model = model
        self._part = part
        self._takes_samples = takes_samples
        self._trained = model.local_layers[part.exit].trainable_variables
        variables = [*self._trained, *optimizer_variables]
        for layer in part.parts:
            variables += layer.variables
        self.variables = list({id(v): v for v in variables}.values())

    def learn(self, keep, values, tensors, data, sound, learning_rate):
        """Learns from a batch.

        Args:
            keep: the backend's function that learns if a batch is sound.
            values: list, as `variables`.
            tensors: dict from keys to pairs of a tensor and its mask.
            data: the batch.
            sound: pair of scalars: whether the batch was sound for the layers
                before, and all batches so far for this one.
            learning_rate: scalar, or `None` for the one of `values`.

        Returns:
            The new values, the tensors that it gives, by the number of its
            layer a tuple of goodness, loss and penalty, and whether the batch
            is sound.
        """
        model = self._model
        optimizer = model.optimizer
        with self._scope(values) as scope:
            if learning_rate is not None:
                optimizer.learning_rate.assign(learning_rate)
            x, y, sample_weight = model._unpack(data)
            gradients = model._no_gradients_yet()
            tensors, outputs = self._run(
                tensors, x, y, sample_weight, gradients
            )
            self._check_untouched(scope)
            sound = ops.logical_and(*sound)
            sound = ops.logical_and(sound, _is_sound(model, y, sample_weight))
            for _, loss, penalty in outputs.values():
                finite = ops.isfinite(loss + penalty)
                sound = ops.logical_and(sound, finite)

            def apply():
                found, _ = gradients.of(self._trained)
                optimizer.apply(found, self._trained)

            values = keep(sound, scope, self.variables, values, apply)
        return values, tensors, outputs, sound

    def test(self, values, tensors, data):
        """Evaluates a batch.

        Returns:
            The tensors that it gives and, by the numbers of its layers,
            tuples of goodness, loss and penalty.
        """
        with self._scope(values):
            x, y, sample_weight = self._model._unpack(data)
            return self._run(tensors, x, y, sample_weight, None)

    def predict(self, values, tensors, data):
        """Gives the tensors and, by the numbers of its layers, goodness."""
        with self._scope(values):
            tensors = self._received(tensors, data[0])
            calls = self._part.walk(tensors, False)
            goodness = {call.index: call.run() for call in calls}
            return self._given(tensors), goodness

    def _run(self, tensors, x, y, sample_weight, gradients):
        tensors = self._received(tensors, x)
        outputs = {}
        for call in self._part.walk(tensors, gradients is not None):
            output = self._model._run_layer(
                call, x, y, sample_weight, gradients
            )
            outputs[call.index] = (output.goodness, output.loss, output.penalty)
        return self._given(tensors), outputs

    def _check_untouched(self, scope):
        """Raises if a loss has changed a metric: stages have none."""
        model = self._model
        if not self.needs_samples_later:
            return
        for variable in model.metrics_variables:
            if scope.get_current_value(variable) is not None:
                raise ValueError(
                    f"LayerParallel cannot spread the model '{model.name}': "
                    f"the `compute_loss` of '{model.name}' updates "
                    f"'{variable.path}', and stages have no metrics in "
                    "common. Give metrics to `compile`."
                )

    def _received(self, tensors, x):
        if self._takes_samples:
            return self._model._graph.input_tensors(x)
        for tensor, mask in tensors.values():
            if mask is not None:
                attach_mask(tensor, mask)
        return {key: tensor for key, (tensor, _) in tensors.items()}

    def _given(self, tensors):
        return {
            key: (tensors[key], mask_of(tensors[key]))
            for key in self.alive
            if key in tensors and (self._takes_samples or key not in self.takes)
        }

    def _scope(self, values):
        return keras.StatelessScope(
            list(zip(self.variables, values)), collect_losses=True
        )


def _is_sound(model, y, sample_weight):
    """Whether labels and weights are such as may be trained on."""
    number, _ = model._task.count_wrong(ops.convert_to_tensor(y))
    if sample_weight is not None:
        weights = ops.cast(ops.reshape(sample_weight, (-1,)), "float32")
        number = number + count_wrong_weights(weights)[0]
    return number == 0
