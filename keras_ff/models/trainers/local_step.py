import contextlib
import functools
from typing import Any
from typing import NamedTuple

import keras
from keras import ops

from keras_ff import keras_private
from keras_ff.labels import check_weight_shape
from keras_ff.models.trainers.gradients import Gradients
from keras_ff.models.trainers.local_batch import LocalBatch
from keras_ff.models.trainers.local_output import LocalOutput
from keras_ff.models.trainers.objective_losses import objective_losses
from keras_ff.models.training_data import check_one_target


class Learned(NamedTuple):
    """What a training step learned from a batch, before it is applied.

    Attributes:
        logs: dict, what `fit` logs.
        gradients: list, as the model's trainable variables.
        sound: scalar, whether the optimizer may see the gradients.
        kept: scalar, whether layers keep what they changed while they ran,
            such as the statistics of a batch normalization.
    """

    logs: dict
    gradients: list
    sound: Any
    kept: Any


class LocalStep(keras_private.ModelMixin):
    """The part of the local step that no backend has to know.

    A batch is sound if its labels are classes and its losses and gradients
    are finite. One that is not changes no weight, nor does any after it in
    the same epoch, and `fit` stops. Under a `LossScaleOptimizer` gradients
    may overflow: it leaves out such a step and lowers its scale, and training
    goes on.
    """

    # The `Portion` of the batch at work, where devices share it.
    _portion = None

    # The `Spread` that runs the loop at work, if a `LayerParallel` is in force.
    _spread = None

    def _learn(self, data):
        """Runs a training step up to the optimizer; returns `Learned`."""
        gradients = self._no_gradients_yet()
        logs = self._pass(data, gradients)
        sound = self._statistics.is_sound()
        found, finite = gradients.of(self.trainable_variables)
        return Learned(
            logs=logs,
            gradients=found,
            sound=sound,
            kept=ops.logical_and(sound, finite),
        )

    def _no_gradients_yet(self):
        return Gradients(
            self._differentiate,
            self._reduce,
            ops.cast(self.optimizer.scale_loss(ops.ones(())), "float32"),
            self._readout.layer_clipnorm,
        )

    def _pass(self, data, gradients=None):
        """Runs a batch, to learn from it or to evaluate it; returns logs."""
        x, y, sample_weight = self._unpack(data)
        return self._log_batch(self._local_pass(x, y, sample_weight, gradients))

    def _unpack(self, data):
        """A batch, checked, with targets in the shape that losses take."""
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        self._check_batch(y, sample_weight)
        return x, self._task.standardized(y), sample_weight

    def _local_pass(self, x, y, sample_weight, gradients=None, arguments=None):
        """Runs all local layers on a batch, each with its own loss.

        Args:
            x, y, sample_weight: the batch.
            gradients: `Gradients` to which those of the layers are added.
                `None` if the layers do not train.
            arguments: see `LayerGraph.walk`.

        Returns:
            A `LocalBatch`.
        """
        training = gradients is not None
        outputs = {}
        for call in self._graph.walk(x, training, arguments=arguments):
            outputs[call.index] = self._run_layer(
                call, x, y, sample_weight, gradients
            )
        outputs = [outputs[i] for i in range(len(outputs))]
        return self._as_batch(x, y, sample_weight, training, outputs)

    def _run_layer(self, call, x, y, sample_weight, gradients):
        """Runs a local layer with its own loss, and hands its features on.

        Args:
            call: its `LocalCall`.
            x, y, sample_weight, gradients: see `_local_pass`.

        Returns:
            A `LocalOutput` without features.
        """
        training = gradients is not None
        local_loss = functools.partial(
            self._local_loss, call, x, y, sample_weight, training
        )
        if training and call.layer.trainable_variables:
            output, finite = gradients.learn(call.layer, local_loss)
            output = self._marked(output, finite)
        else:
            _, output = local_loss()
        call.give(output.features, output.mask)
        return output._replace(features=None, mask=None)

    def _as_batch(self, x, y, sample_weight, training, outputs):
        """A batch with what its layers gave, and their prediction."""
        y = ops.convert_to_tensor(y)
        return LocalBatch(
            x=x,
            y=y,
            sample_weight=sample_weight,
            training=training,
            target=y,
            outputs=outputs,
            prediction=self._readout.combine(
                (i, output.goodness) for i, output in enumerate(outputs)
            ),
        )

    def _local_loss(self, call, x, y, sample_weight, training):
        """Runs a local layer; returns what it minimizes and its output."""
        objectives = call.layer.objectives
        features, goodness = call(keep_gradient=True) if objectives else call()
        mask = keras_private.mask_of(features)
        loss = self._loss_of(
            call.layer.name, x, y, goodness, sample_weight, training
        )
        loss = self._share(loss, self.loss)
        terms = []
        if objectives:
            terms = objective_losses(
                call.layer,
                (features, goodness),
                self._task.rows(y, goodness),
                sample_weight,
                self.loss,
                training,
            )
            terms = [self._share(term, self.loss) for term in terms]
            features = ops.stop_gradient(features)
        # Those of the objectives' weights, too.
        terms += [
            self._share(keras_private.additional_loss(self, term))
            for term in call.layer.losses
        ]
        penalty = ops.zeros((), "float32")
        for term in terms:
            penalty = penalty + ops.cast(term, "float32")
        output = LocalOutput(features, goodness, loss, penalty, mask)
        return loss + penalty, output

    def _loss_of(self, name, x, y, goodness, sample_weight, training):
        """The loss of a layer's goodness, a float32 scalar."""
        loss = keras_private.compute_loss(
            self, x, y, goodness, sample_weight, training
        )
        shape = tuple(getattr(loss, "shape", ()))
        if shape:
            raise ValueError(
                f"The loss of layer '{name}' must be one number, for instance "
                f"the mean over the batch. Received: a loss of shape {shape}"
            )
        return ops.cast(loss, "float32")

    def _marked(self, output, finite):
        """Gives a layer whose gradients are not finite the loss NaN.

        Its loss need not be: TensorFlow's fused ReLU makes 0 of NaN. Where
        its penalty is not finite, that is said already.
        """
        if isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
            return output
        told = ops.logical_not(ops.isfinite(output.penalty))
        return output._replace(
            loss=ops.where(
                ops.logical_or(finite, told), output.loss, float("nan")
            )
        )

    def _check_batch(self, y, sample_weight):
        if y is None:
            raise ValueError("Labels are needed. Received: y=None")
        check_one_target(y)
        self._task.check_shape(y)
        self._check_samples(y)
        check_weight_shape(sample_weight)
        self._check_form(y)

    def _check_samples(self, y):
        if y.shape[0] == 0:
            raise ValueError(
                "A batch must hold samples. Received: labels of shape "
                f"{tuple(y.shape)}"
            )

    def _learning_parts(self):
        """The parts that have gradients of their own, in their order."""
        raise NotImplementedError

    def _seed_epoch(self, seed):
        """Seeds the backend's own generator, if Keras draws from it."""

    def _agreed(self):
        """A context that fails in all processes where it does in one."""
        return contextlib.nullcontext()

    def _end_pass(self):
        """Makes what layers keep of their batches the same everywhere."""

    def _values_of_replicas(self, variable):
        """The value that each replica counted in a variable, in NumPy."""
        return [ops.convert_to_numpy(variable)]

    def _unsound_batch(self):
        """The number of the batch that was not sound, where it is known."""

    def _reduce(self, gradients):
        """Starts to add gradients up over all devices; see `Gradients`."""
        return lambda: gradients

    def _share(self, value, loss=None):
        """See `Portion.share`; on one device the value itself."""
        if self._portion is None:
            return value
        return self._portion.share(value, loss)

    def _unscale(self, share):
        """What the shares of all devices are, weighted by their samples."""
        return share if self._portion is None else self._portion.whole(share)

    def _log_batch(self, batch):
        """Updates all metrics with a batch and returns the logs."""
        goodness = [output.goodness for output in batch.outputs]
        losses = [self._unscale(output.loss) for output in batch.outputs]
        penalties = [self._unscale(output.penalty) for output in batch.outputs]
        votes = self._readout.votes()
        total = sum(
            votes[i] * (loss + penalty)
            for i, (loss, penalty) in enumerate(zip(losses, penalties))
        )
        keras_private.log_loss(
            self,
            total,
            sample_weight=ops.shape(goodness[0])[0],
        )
        self._statistics.update_state(
            batch.y,
            batch.target,
            goodness,
            losses,
            penalties,
            votes,
            batch.sample_weight,
            self.loss,
            self._portion,
            batch.training,
        )
        return self.compute_metrics(
            batch.x, batch.y, batch.prediction, batch.sample_weight
        )
