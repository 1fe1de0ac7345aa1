import contextlib
import warnings

import keras
import numpy as np

from keras_ff import keras_private
from keras_ff.models.log_order import in_layer_order
from keras_ff.models.soundness import raise_if_unsound
from keras_ff.models.voting import of_voters


class TrainingState(keras.callbacks.Callback):
    """Keeps a `LocalLossModel`'s own state in step with `fit`.

    It runs before all other callbacks, so that checkpoints hold the state
    from after the epoch.

    Args:
        data: the training data. If it or its `sampler` has `set_epoch`, that
            is called with the number of finished epochs before every epoch.
    """

    async_safe = True

    def __init__(self, data):
        super().__init__()
        self._data = data
        self._training_done = True
        self._batches = 0
        self._warned = False

    @contextlib.contextmanager
    def first_of(self, callbacks, model):
        """Callbacks, as `fit` takes them, of which this one runs first."""
        if not isinstance(callbacks, keras.callbacks.CallbackList):
            yield [self, *keras.tree.flatten(callbacks or [])]
            return
        self.set_model(model)
        self.set_params(callbacks.params)
        callbacks.callbacks.insert(0, self)
        try:
            yield callbacks
        finally:
            # The list is the user's, who may train with it again.
            callbacks.callbacks.remove(self)

    def on_epoch_begin(self, epoch, logs=None):
        _start_epoch(self.model)
        # A loader's sampler has an order of its own, too.
        for data in (self._data, getattr(self._data, "sampler", None)):
            if hasattr(data, "set_epoch"):
                data.set_epoch(self.model.epoch)
        self._training_done = False
        self._batches = 0

    def on_train_batch_end(self, batch, logs=None):
        self._batches += 1
        self._sort(logs)
        # Reading the loss waits for the device: often at first, then rarely.
        seldom = self._batches & (self._batches - 1) and self._batches % 64
        if logs and not seldom and not _is_finite(logs["loss"]):
            # On JAX `self.model` would fetch the state, which the next batch
            # is using up: this may run in another thread.
            self._model.stop_training = True

    def on_test_begin(self, logs=None):
        self._finish_training()

    def on_test_end(self, logs=None):
        _update_contribution(self.model, "validation")

    def on_epoch_end(self, epoch, logs=None):
        self._sort(logs)
        self._finish_training()
        self._warn_of_overflow()
        # If gradients overflowed in every step, there was none yet.
        keras_private.start_averages(self.model.optimizer)
        self.model.epoch += 1

    def _sort(self, logs):
        """Sorts the logs for the callbacks that follow."""
        # On JAX `self.model` would fetch the state, see above.
        if logs and self._model.layer_metrics:
            sorted_logs = in_layer_order(logs, self._model._statistics.names)
            logs.clear()
            logs.update(sorted_logs)

    def _warn_of_overflow(self):
        """Warns if gradients overflow whatever the loss scale."""
        optimizer = self.model.optimizer
        scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
        if self._warned or not scaled or not optimizer.built:
            return
        scale, *_ = self.model._values_of_replicas(optimizer.dynamic_scale)
        if scale < 1:
            self._warned = True
            warnings.warn(
                f"The loss scale of '{optimizer.name}' fell to {scale:g}: "
                "gradients are NaN or overflow in most steps, and none of "
                "those steps trains. Look for NaN in the data, scale the "
                "input, lower the learning rate, or train in 'mixed_bfloat16'"
                " or 'float32'.",
                stacklevel=2,
            )

    def _finish_training(self):
        # Validation follows the training batches of an epoch, if there is any.
        if not self._training_done:
            self._training_done = True
            self.model._end_pass()
            raise_if_unsound(self.model)
            _update_contribution(self.model, "training")


def _is_finite(value):
    value = float(value)
    return abs(value) < float("inf")


def _start_epoch(model):
    if model._spread is not None:
        model._spread.number = 0
    model._seed_epoch([model._shuffle_seed(), model.epoch])
    for part in getattr(model, "local_layers", model.layers):
        for layer in keras_private.all_layers(part):
            epoch = getattr(layer, "epoch", None)
            if isinstance(epoch, keras.Variable):
                epoch.assign(model.epoch)


def _update_contribution(model, source):
    contribution = model.contribution
    if contribution.source != source:
        return
    name = type(contribution).__name__
    if not model._statistics.has_samples():
        raise ValueError(
            f"The contribution {name} is updated from {source} data. "
            "Received: none, or all samples of weight zero. The weights in "
            "force are unchanged."
        )
    weights = contribution.update(model._statistics)
    if not np.all(np.isfinite(weights)):
        raise ValueError(
            f"{name} gave weights that are not finite: "
            f"{weights}. Look for NaN in the {source} data; the weights in "
            "force are unchanged."
        )
    weights = of_voters(model._readout, weights)
    model._readout.contribution_weights.assign(weights)
