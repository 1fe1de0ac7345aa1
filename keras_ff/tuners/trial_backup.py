import contextlib
import os
import secrets
import urllib.parse
import warnings

from keras_ff.callbacks import Backup
from keras_ff.callbacks.backup_folder import BackupFolder
from keras_ff.tuners.reliable import fatal_if_unwritten
from keras_ff.tuners.reliable import trial_of_callbacks


class TrialBackup(Backup):
    """A trial's backup.

    Every attempt at a trial has a folder of its own, so that a worker that
    was given up, but goes on, and its heir do not disturb each other. An
    attempt goes on from the last whole backup of those before it, and removes
    them when it has one itself.

    A trial is judged by its best epoch, which may lie before the
    interruption, so the best value is restored too. And a folder may hold the
    backup of a trial of the same number that was abandoned, so it is one of
    these hyperparameters.

    Args:
        folder: the trial's own folder.
        worker: string, the name of the tuner that makes the attempt.
        values: dict, the trial's hyperparameters.
        checkpoint: KerasTuner's callback that saves the best epoch.
    """

    def __init__(self, folder, worker, values, checkpoint):
        self._attempts = os.path.join(folder, "backup")
        name = f"{urllib.parse.quote(worker, '')}-{secrets.token_hex(4)}"
        super().__init__(os.path.join(self._attempts, name))
        self._subject = values
        self._checkpoint = checkpoint
        self._earlier = []

    @classmethod
    def of_trial(cls, callbacks):
        """The backup of the trial that a tuner's callbacks belong to.

        Returns `None` where no tuner is at work.
        """
        found = trial_of_callbacks(callbacks)
        if found is None:
            return None
        tuner, trial, checkpoint = found
        return cls(
            tuner.get_trial_dir(trial.trial_id),
            tuner.tuner_id,
            trial.hyperparameters.values,
            checkpoint,
        )

    def restore(self, model):
        if os.path.isdir(self._attempts):
            self._earlier = [
                entry.path
                for entry in os.scandir(self._attempts)
                if entry.is_dir()
            ]
        epoch = self._restore(model, map(BackupFolder, self._earlier))
        objective = self._checkpoint.objective
        for logs in filter(objective.has_value, self._logs):
            value = objective.get_value(logs)
            if objective.better_than(value, self._checkpoint.best_value):
                self._checkpoint.best_value = value
        return epoch

    def _fits(self, record):
        return record["subject"] == self._subject

    def _begin_anew(self, damage):
        # Only this trial's epochs are lost.
        if damage:
            warnings.warn("\n".join(damage) + "\nThe trial begins anew.")
        return 0

    def on_train_begin(self, logs=None):
        with fatal_if_unwritten():
            super().on_train_begin(logs)

    def on_epoch_end(self, epoch, logs=None):
        with fatal_if_unwritten():
            super().on_epoch_end(epoch, logs)
        self._remove_earlier()

    def remove(self):
        super().remove()
        self._remove_earlier()
        with contextlib.suppress(OSError):
            os.rmdir(self._attempts)

    def _remove_earlier(self):
        for folder in self._earlier:
            # Its worker may be slow, not dead.
            with contextlib.suppress(ValueError, OSError):
                Backup(folder).remove()
        self._earlier = []
