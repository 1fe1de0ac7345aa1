import keras


class ShortProgressBar(keras.callbacks.ProgbarLogger):
    """Keras's progress bar without the metrics of every single layer."""

    def __init__(self):
        super().__init__()
        self.verbose = 1

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, _short(logs))

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, _short(logs))


def _short(logs):
    names = ("loss", "accuracy", "val_loss", "val_accuracy")
    return {name: logs[name] for name in names if name in (logs or {})}
