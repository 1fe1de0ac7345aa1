import json
import os
import time

from keras_tuner.src.distribute import utils as distribution

from keras_ff.tuners import keras_tuner_fixes
from keras_ff.tuners.chief import FINISHED
from keras_ff.tuners.chief import Chief
from keras_ff.tuners.chief_connection import ChiefConnection


class ReliableSearch:
    """Makes any KerasTuner tuner lose no trial, alone or distributed.

    A mixin, in front of the tuner's class. What it adds:

    - Killed at any moment, a search goes on when the same program is started
      again: finished trials stay, all others are run again. (KerasTuner
      forgets a search that is killed in its first trial, and may run a
      finished trial twice.)
    - A folder that holds another search (another space, algorithm or
      objective) is refused. `max_trials` may grow.
    - Distributed, with KerasTuner's environment variables
      `KERASTUNER_TUNER_ID`, `KERASTUNER_ORACLE_IP` and
      `KERASTUNER_ORACLE_PORT` and a shared `directory`: a worker that dies
      gives its trial to the next one that asks, and no worker leaves before
      the last trial is done. (KerasTuner's chief waits for dead workers
      forever.) A worker whose chief does not answer gives up. The chief shows
      why a trial failed, and stops at `max_consecutive_failed_trials`.

    Args:
        *args, **kwargs: the arguments of the tuner. `objective` defaults to
            `"val_accuracy"`.
        chief_timeout: float, seconds after which a worker gives up when the
            chief does not answer. Defaults to `120`.
        worker_timeout: float, seconds after which the chief gives up a worker
            from which it hears nothing. Every worker reports four times as
            often, whatever its trial does. Defaults to `120`.

    Raises:
        ValueError: if the folder, or the chief, has a search with other
            settings; the message says what was saved and what was given.
        RuntimeError: in `search`, if the chief does not answer.

    Example:

    ```python
    class Search(keras_ff.tuners.ReliableSearch, keras_tuner.Hyperband):
        pass

    tuner = Search(
        keras_ff.tuners.ForwardOnlyHyperModel((28, 28, 1), 10),
        max_epochs=9,
        directory="runs/search",
    )
    tuner.search(x, y, validation_split=0.1)
    ```
    """

    # What makes it another algorithm, where the oracle has it.
    _oracle_settings = (
        "max_epochs",
        "factor",
        "hyperband_iterations",
        "num_initial_points",
        "alpha",
        "beta",
    )

    def __init__(
        self, *args, chief_timeout=120.0, worker_timeout=120.0, **kwargs
    ):
        if len(args) < 2 and "oracle" not in kwargs:
            kwargs.setdefault("objective", "val_accuracy")
        self._chief_timeout = chief_timeout
        self._worker_timeout = worker_timeout
        self._executions = kwargs.get("executions_per_trial", 1)
        self._settings = None
        self._was_idle = False
        keras_tuner_fixes.apply()
        super().__init__(*args, **kwargs)

    def search(self, *args, **kwargs):
        if self._is_worker():
            with ChiefConnection(self.oracle, self._chief_timeout) as chief:
                refuse_other(chief.settings(), self._settings, chief.address)
                chief.report_every(self._worker_timeout / 4)
                super().search(*args, **kwargs)
            return
        self.save()
        if distribution.is_chief_oracle():
            self.oracle.verbose = kwargs.get("verbose", "auto")
            Chief(self.oracle, self._settings, self._worker_timeout).serve()
            self.save()
        else:
            super().search(*args, **kwargs)

    def pre_create_trial(self):
        # Others have trials left, this worker has none: ask again, not at
        # once.
        if self._was_idle:
            time.sleep(1)
        self._was_idle = True
        super().pre_create_trial()

    def on_trial_begin(self, trial):
        self._was_idle = False
        super().on_trial_begin(trial)

    def on_trial_end(self, trial):
        if self._is_worker() and trial.message:
            # KerasTuner does not send it to the chief.
            path = os.path.join(self.get_trial_dir(trial.trial_id), "error.txt")
            with open(path, "w") as file:
                file.write(trial.message)
        super().on_trial_end(trial)

    def save(self):
        # Before the oracle's: a folder with trials has settings.
        if not self._is_worker():
            keras_tuner_fixes.save_json(self._get_tuner_fname(), self._settings)
            super().save()

    def get_state(self):
        return self._settings

    def reload(self):
        # The oracle is still as it was given.
        self._describe()
        with open(self._get_tuner_fname()) as file:
            refuse_other(json.load(file), self._settings, self.project_dir)
        if not self._is_worker() and os.path.exists(self._oracle_path):
            super().reload()
            self._queue_unfinished()

    def _populate_initial_space(self):
        if not self._is_worker() and os.path.exists(self._oracle_path):
            raise ValueError(
                f"{self.project_dir} holds a search of unknown settings (no "
                f"{os.path.basename(self._get_tuner_fname())}). Give another "
                "`directory` or `project_name`, or `overwrite=True`."
            )
        self._describe()

    def _describe(self):
        """Explores the space and writes down what the search is."""
        super()._populate_initial_space()
        oracle = self.oracle
        settings = {
            "oracle": type(oracle).__name__,
            "objective": str(oracle.objective),
            "executions_per_trial": self._executions,
        }
        for name in self._oracle_settings:
            if hasattr(oracle, name):
                settings[name] = getattr(oracle, name)
        for hp in oracle.get_space().space:
            config = hp.get_config()
            conditions = " and ".join(
                f"{c.name} in {c.values}" for c in hp.conditions
            )
            config["conditions"] = conditions
            key = f"hyperparameter {hp.name}"
            settings[f"{key} where {conditions}" if conditions else key] = {
                "type": type(hp).__name__,
                **config,
            }
        # As it will be read.
        self._settings = json.loads(json.dumps(settings))

    def _queue_unfinished(self):
        """Runs all trials again that are not finished, and no other."""
        oracle = self.oracle
        # Of other trials the oracle does not know: it was killed before it
        # gave them to anyone, and will make them again.
        oracle.trials = {i: oracle.trials[i] for i in oracle.start_order}
        unfinished = {
            trial_id: trial
            for trial_id, trial in oracle.trials.items()
            if trial.status not in FINISHED
        }
        if distribution.is_chief_oracle():
            # The workers may still be at it.
            with open(self._oracle_path) as file:
                ongoing = json.load(file)["ongoing_trials"]
            for tuner_id, trial_id in ongoing.items():
                if trial_id in unfinished:
                    oracle.ongoing_trials[tuner_id] = unfinished.pop(trial_id)
        # A queue from which KerasTuner takes the last.
        oracle._retry_queue = sorted(unfinished, reverse=True)

    @property
    def _oracle_path(self):
        return os.path.join(self.project_dir, "oracle.json")

    def _get_tuner_fname(self):
        # One search, whoever runs it.
        return os.path.join(str(self.project_dir), "tuner.json")


def refuse_other(saved, given, place):
    """Raises if a search is another one than was given."""
    differing = [
        f"{key}: saved {saved.get(key)}, given {given.get(key)}"
        for key in dict.fromkeys([*saved, *given])
        if saved.get(key) != given.get(key)
    ]
    if differing:
        raise ValueError(
            f"{place} holds a search with other settings. Give another "
            "`directory` or `project_name`, or `overwrite=True`.\n"
            + "\n".join(differing)
        )
