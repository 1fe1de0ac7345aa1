import json
import os
import shutil

import keras
from keras_tuner.src.engine.tuner_utils import SaveBestEpoch
from keras_tuner.src.engine.tuner_utils import TunerCallback


class TrialBackup(keras.callbacks.Callback):
    """Backs a trial up after every epoch, with what it reached so far.

    More than `keras.callbacks.BackupAndRestore`: a trial is judged by its
    best epoch, which may lie before the interruption, so the logs of all
    epochs are kept. Its folder may hold the backup of a trial of the same
    number that was abandoned, so the hyperparameters are kept. And whenever
    it is killed, there is a whole backup (Keras writes over the last one).

    Args:
        folder: the trial's own folder.
        values: dict, the trial's hyperparameters.
        checkpoint: KerasTuner's callback that saves the best epoch.
    """

    def __init__(self, folder, values, checkpoint):
        super().__init__()
        self._folder = os.path.join(folder, "backup")
        self._values = values
        self._checkpoint = checkpoint
        self._logs = []

    @classmethod
    def of_trial(cls, callbacks):
        """The backup of the trial that a tuner's callbacks belong to.

        Returns `None` where no tuner is at work.
        """
        tuning = _first(callbacks, TunerCallback)
        if tuning is None:
            return None
        trial = tuning.trial
        return cls(
            tuning.tuner.get_trial_dir(trial.trial_id),
            trial.hyperparameters.values,
            _first(callbacks, SaveBestEpoch),
        )

    def restore(self, model):
        """Gives a model what was backed up.

        Returns the number of the epoch that comes next, or `None` if there is
        no backup.
        """
        if not os.path.exists(self._path):
            return None
        with open(self._path) as file:
            saved = json.load(file)
        if saved["values"] != self._values:
            self.remove()
            return None
        model.optimizer.build(model.trainable_variables)
        model.load_weights(os.path.join(self._folder, saved["weights"]))
        self._logs = saved["logs"]
        objective = self._checkpoint.objective
        for logs in filter(objective.has_value, self._logs):
            value = objective.get_value(logs)
            if objective.better_than(value, self._checkpoint.best_value):
                self._checkpoint.best_value = value
        return saved["epoch"]

    def history(self):
        """The logs of all epochs, those before an interruption included."""
        history = {}
        for logs in self._logs:
            for name, value in logs.items():
                history.setdefault(name, []).append(value)
        return history

    def on_epoch_end(self, epoch, logs=None):
        self._logs.append({k: float(v) for k, v in (logs or {}).items()})
        os.makedirs(self._folder, exist_ok=True)
        weights = f"{epoch}.weights.h5"
        self.model.save_weights(os.path.join(self._folder, weights))
        state = {
            "epoch": epoch + 1,
            "weights": weights,
            "values": self._values,
            "logs": self._logs,
        }
        part = self._path + ".part"
        with open(part, "w") as file:
            json.dump(state, file)
        os.replace(part, self._path)
        for name in os.listdir(self._folder):
            if name not in (weights, os.path.basename(self._path)):
                os.remove(os.path.join(self._folder, name))

    def remove(self):
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _path(self):
        return os.path.join(self._folder, "trial.json")


def _first(callbacks, kind):
    return next((c for c in callbacks if isinstance(c, kind)), None)
