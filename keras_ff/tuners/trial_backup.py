import json
import os

from keras_tuner.src.engine.tuner_utils import SaveBestEpoch
from keras_tuner.src.engine.tuner_utils import TunerCallback

from keras_ff.callbacks import Backup
from keras_ff.tuners.keras_tuner_fixes import save_json


class TrialBackup(Backup):
    """A trial's backup.

    A trial is judged by its best epoch, which may lie before the
    interruption, so the best value is restored too. And the folder may hold
    the backup of a trial of the same number that was abandoned, so the
    hyperparameters are kept with it.

    Args:
        folder: the trial's own folder.
        values: dict, the trial's hyperparameters.
        checkpoint: KerasTuner's callback that saves the best epoch.
    """

    def __init__(self, folder, values, checkpoint):
        super().__init__(os.path.join(folder, "backup"))
        self._values = values
        self._checkpoint = checkpoint

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
        if self._saved_values() != self._values:
            self.remove()
            os.makedirs(self.folder)
            save_json(self._values_path, self._values)
        epoch = super().restore(model)
        objective = self._checkpoint.objective
        for logs in filter(objective.has_value, self._logs):
            value = objective.get_value(logs)
            if objective.better_than(value, self._checkpoint.best_value):
                self._checkpoint.best_value = value
        return epoch

    def _saved_values(self):
        if not os.path.exists(self._values_path):
            return None
        with open(self._values_path) as file:
            return json.load(file)

    @property
    def _values_path(self):
        return os.path.join(self.folder, "values.json")


def _first(callbacks, kind):
    return next((c for c in callbacks if isinstance(c, kind)), None)
