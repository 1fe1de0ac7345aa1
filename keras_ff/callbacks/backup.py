import json
import os
import shutil

import keras
from keras import ops


class Backup(keras.callbacks.Callback):
    """Backs a training up after every epoch, so that it can be resumed.

    Whenever the training is killed, there is a whole backup or none. (Of
    `keras.callbacks.BackupAndRestore`, killed while it writes, weights and
    epoch may differ, and nothing may be left if it was the first time.) It
    also keeps the logs of all epochs.

    It works with any Keras model. A `ForwardOnlyModel` goes on exactly as if
    it had not been interrupted: its weights hold its random states and epoch.

    Args:
        folder: path of the folder of this training's backup. What is in it is
            overwritten.

    Example:

    ```python
    backup = keras_ff.callbacks.Backup("backup")
    model.fit(
        train,
        epochs=10,
        initial_epoch=backup.restore(model),
        callbacks=[backup],  # the last one, so that others had their turn
    )
    backup.remove()
    ```
    """

    def __init__(self, folder):
        super().__init__()
        self.folder = os.fspath(folder)
        self._logs = []

    def restore(self, model):
        """Gives a built and compiled model what was backed up.

        Returns:
            The number of the epoch that comes next: 0 without a backup.
        """
        if not os.path.exists(self._path):
            return 0
        with open(self._path) as file:
            saved = json.load(file)
        if model.optimizer is not None:
            model.optimizer.build(model.trainable_variables)
        model.load_weights(os.path.join(self.folder, saved["weights"]))
        self._logs = saved["logs"]
        return saved["epoch"]

    def history(self):
        """The logs of all epochs, those before an interruption included.

        Returns:
            Dict from names to lists, as `keras.callbacks.History.history`.
        """
        history = {}
        for logs in self._logs:
            for name, value in logs.items():
                history.setdefault(name, []).append(value)
        return history

    def on_epoch_end(self, epoch, logs=None):
        row = {
            # Metrics may be vectors.
            name: ops.convert_to_numpy(value).tolist()
            for name, value in (logs or {}).items()
        }
        self._logs = [*self._logs[:epoch], row]
        os.makedirs(self.folder, exist_ok=True)
        weights = f"{epoch}.weights.h5"
        self.model.save_weights(os.path.join(self.folder, weights))
        saved = {"epoch": epoch + 1, "weights": weights, "logs": self._logs}
        part = self._path + ".part"
        with open(part, "w") as file:
            json.dump(saved, file)
        # At once, so that there is always a whole backup.
        os.replace(part, self._path)
        for name in os.listdir(self.folder):
            if name.endswith(".weights.h5") and name != weights:
                os.remove(os.path.join(self.folder, name))

    def remove(self):
        """Removes the backup."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _path(self):
        return os.path.join(self.folder, "backup.json")
