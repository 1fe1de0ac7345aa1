import keras


class TrainingState(keras.callbacks.Callback):
    """Keeps a `ForwardOnlyModel`'s own state in step with `fit`.

    It runs before all other callbacks, so that checkpoints hold the state
    from after the epoch.

    Args:
        data: the training data. If it has `set_epoch`, that is called with
            the number of finished epochs before every epoch.
    """

    async_safe = True

    def __init__(self, data):
        super().__init__()
        self._data = data
        self._training_done = True
        self._batches = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.model._start_epoch()
        if hasattr(self._data, "set_epoch"):
            self._data.set_epoch(self.model.epoch)
        self._training_done = False
        self._batches = 0

    def on_train_batch_end(self, batch, logs=None):
        self._batches += 1
        # Reading the loss waits for the device: often at first, then rarely.
        seldom = self._batches & (self._batches - 1) and self._batches % 64
        if logs and not seldom and not _is_finite(logs["loss"]):
            # On JAX `self.model` would fetch the state, which the next batch
            # is using up: this may run in another thread.
            self._model.stop_training = True

    def on_test_begin(self, logs=None):
        self._finish_training()

    def on_test_end(self, logs=None):
        self.model._update_contribution("validation")

    def on_epoch_end(self, epoch, logs=None):
        self._finish_training()
        self.model.epoch += 1

    def _finish_training(self):
        # Validation follows the training batches of an epoch, if there is any.
        if not self._training_done:
            self._training_done = True
            self.model._raise_if_unsound()
            self.model._update_contribution("training")


def _is_finite(value):
    value = float(value)
    return abs(value) < float("inf")
