import glob
import json
import os
import re
import time
from typing import Any

import keras

from keras_ff import files
from keras_ff.folder_lock import FolderLock
from keras_ff.tuners.reliable import keras_tuner_private
from keras_ff.tuners.reliable.address import shared_secret
from keras_ff.tuners.reliable.chief import FINISHED
from keras_ff.tuners.reliable.chief import Chief
from keras_ff.tuners.reliable.chief_connection import ChiefConnection
from keras_ff.tuners.reliable.logged_names import declares
from keras_ff.tuners.reliable.logged_names import logged_names
from keras_ff.type_aliases import Config

CURE = "Give another `directory` or `project_name`, or `overwrite=True`."
LOCK = "search.lock"
# What KerasTuner and this class write.
OWN = re.compile(
    r"(oracle|tuner\d*|chief)\.json(\.[0-9a-f]{16}\.part)?|trial_.+"
    rf"|{re.escape(LOCK)}"
)


class ReliableSearch(keras_tuner_private.Hooks):
    """Makes any KerasTuner tuner lose no trial, alone or distributed.

    A mixin, in front of the tuner's class. What it adds:

    - Killed at any moment, a search goes on when the same program is started
      again: finished trials stay, all others are run again. (KerasTuner
      forgets a search that is killed in its first trial, and may run a
      finished trial twice.)
    - A folder that holds another search (another space, algorithm or
      objective), or in which one runs, is refused. `max_trials` may grow.
    - An objective that is not logged is refused before the first trial where
      that can be known, or else after the first epoch.
    - Distributed, with KerasTuner's environment variables
      `KERASTUNER_TUNER_ID`, `KERASTUNER_ORACLE_IP` and
      `KERASTUNER_ORACLE_PORT` and a shared `directory`: a worker that dies
      gives its trial to the next one that asks, and no worker leaves before
      the last trial is done. (KerasTuner's chief waits for dead workers
      forever.) A worker whose chief does not answer gives up. The chief shows
      why a trial failed, and stops at `max_consecutive_failed_trials`. A
      worker that was given up, but goes on, changes nothing any more.
    - If `KERASTUNER_ORACLE_IP` is not of this machine alone (not 127.0.0.1),
      the chief serves those only who know the secret in the environment
      variable `KERAS_FF_CHIEF_SECRET`. It is not encrypted on its way.

    Args:
        *args, **kwargs: the arguments of the tuner. `objective` defaults to
            `"val_accuracy"`.
        chief_timeout: float, seconds after which a worker gives up when the
            chief does not answer. Defaults to `120`.
        worker_timeout: float, seconds after which the chief gives up a worker
            from which it hears nothing. Every worker reports four times as
            often, whatever its trial does. Defaults to `120`.

    Raises:
        ImportError: of this module, if KerasTuner is of another version.
        ValueError: if the folder, or the chief, has a search with other
            settings; the message says what was saved and what was given. With
            `overwrite`, if the folder holds anything but a search. In
            `search`, if the objective is not logged, if the folder is in use,
            or if a secret is needed.
        RuntimeError: in `search`, if the chief does not answer, refuses the
            worker or cannot listen at its address.

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
        self,
        *args: Any,
        chief_timeout: float = 120.0,
        worker_timeout: float = 120.0,
        **kwargs: Any,
    ) -> None:
        if len(args) < 2 and "oracle" not in kwargs:
            kwargs.setdefault("objective", "val_accuracy")
        self._chief_timeout = chief_timeout
        self._worker_timeout = worker_timeout
        self._executions = kwargs.get("executions_per_trial", 1)
        self._settings = None
        # The last model of those that explore the space.
        self._built = None
        self._logs_every_epoch = False
        self._was_idle = False
        # The line to the chief, while a worker searches.
        self._chief = None
        self._lost_trial = None
        overwrite = kwargs.get("overwrite", False)
        self._overwritten_by_chief = (
            overwrite and keras_tuner_private.is_worker()
        )
        if self._overwritten_by_chief:
            kwargs["overwrite"] = False
        elif overwrite:
            _refuse_to_remove(
                os.path.join(
                    str(kwargs.get("directory") or "."),
                    kwargs.get("project_name") or "untitled_project",
                )
            )
        super().__init__(*args, **kwargs)

    def search(self, *args: Any, **kwargs: Any) -> None:
        self._logs_every_epoch = (
            self._trains_plainly() and "validation_freq" not in kwargs
        )
        with keras_tuner_private.mended():
            if keras_tuner_private.is_worker():
                self._search_for_chief(*args, **kwargs)
            else:
                self._search_here(*args, **kwargs)

    def _search_for_chief(self, *args, **kwargs):
        with ChiefConnection(
            self.oracle, self._chief_timeout, shared_secret()
        ) as chief:
            refuse_other(chief.address, chief.settings(), self._settings)
            chief.report_every(self._worker_timeout / 4)
            self._chief = chief
            try:
                super().search(*args, **kwargs)
            finally:
                self._chief = None

    def _search_here(self, *args, **kwargs):
        in_company = keras_tuner_private.is_chief()
        secret = shared_secret() if in_company else None
        lock = FolderLock(os.path.join(self.project_dir, LOCK))
        lock.acquire()
        try:
            self._refuse_unlogged_objective(kwargs.get("callbacks"))
            self.save()
            if in_company:
                self.oracle.verbose = kwargs.get("verbose", "auto")
                Chief(
                    self.oracle, self._settings, self._worker_timeout, secret
                ).serve()
                self.save()
            else:
                super().search(*args, **kwargs)
        finally:
            lock.release()

    def _refuse_unlogged_objective(self, callbacks):
        """Before the first trial, if nobody else can add to the logs."""
        plain, model, self._built = self._trains_plainly(), self._built, None
        if not plain or callbacks or self.oracle.start_order:
            return
        metrics = [name.removeprefix("val_") for name in self._objectives()]
        if not all(declares(model, name) for name in metrics):
            names = logged_names(model)
            if names is not None:
                self._refuse_without_objective(names)

    def _refuse_without_objective(self, logged):
        missing = [n for n in self._objectives() if n not in logged]
        if missing:
            raise keras_tuner_private.FatalValueError(
                f"The objective {', '.join(missing)} is not logged, so trials "
                f"cannot be compared by it. Logged: {', '.join(logged)}. Give "
                "`objective` one of these names (those with `val_` need "
                "validation data), or `compile` a metric of that name."
            )

    def _objectives(self):
        objective = self.oracle.objective
        return getattr(objective, "name_to_direction", [objective.name])

    def _trains_plainly(self):
        """Whether a trial is one `fit` whose logs are its results."""
        return (
            isinstance(self._built, keras.Model)
            and not (self.optimizer or self.loss or self.metrics)
            and _is_of_a_library(type(self).run_trial)
            and _is_of_a_library(type(self.hypermodel).fit)
        )

    def pre_create_trial(self) -> None:
        # Others have trials left, this worker has none: ask again, not at
        # once.
        if self._was_idle:
            time.sleep(1)
        self._was_idle = True
        super().pre_create_trial()

    def on_trial_begin(self, trial: keras_tuner_private.Trial) -> None:
        self._was_idle = False
        super().on_trial_begin(trial)

    def on_epoch_end(
        self,
        trial: keras_tuner_private.Trial,
        model: keras.Model,
        epoch: int,
        logs: dict[str, float] | None = None,
    ) -> None:
        if self._chief is not None and self._chief.gave_away(trial.trial_id):
            self._lost_trial = trial.trial_id
            raise RuntimeError(
                f"The chief gave trial {trial.trial_id} to another worker: it "
                f"heard nothing of this one, {self.tuner_id!r}, for too long. "
                "This one goes on with another trial."
            )
        super().on_epoch_end(trial, model, epoch, logs)
        if self._logs_every_epoch:
            self._refuse_without_objective(list(logs or ()))

    def on_trial_end(self, trial: keras_tuner_private.Trial) -> None:
        if trial.trial_id == self._lost_trial:
            # Its heir ends it.
            self._lost_trial = None
            return
        if self._chief is not None and trial.message:
            # KerasTuner does not send it to the chief.
            files.write_whole(
                os.path.join(self.get_trial_dir(trial.trial_id), "error.txt"),
                trial.message,
            )
        super().on_trial_end(trial)

    def save(self) -> None:
        # Before the oracle's: a folder with trials has settings.
        if not keras_tuner_private.is_worker():
            keras_tuner_private.save_json(self.settings_path(), self._settings)
            super().save()

    def get_state(self) -> Config | None:
        return self._settings

    def reload(self) -> None:
        # The oracle is still as it was given.
        self._describe()
        if not self._overwritten_by_chief:
            saved = files.read_json(self.settings_path(), CURE)
            refuse_other(self.project_dir, saved, self._settings)
        if not keras_tuner_private.is_worker() and os.path.exists(
            self._oracle_path
        ):
            for path in (self._oracle_path, *self._trial_paths()):
                files.read_json(path, f"Bring back a copy of it. {CURE}")
            super().reload()
            self._queue_unfinished()

    def begin(self) -> None:
        if not keras_tuner_private.is_worker() and os.path.exists(
            self._oracle_path
        ):
            raise ValueError(
                f"{self.project_dir} holds a search of unknown settings (no "
                f"{os.path.basename(self.settings_path())}). {CURE}"
            )
        self._describe()

    def _describe(self):
        """Explores the space and writes down what the search is."""
        self._explore()
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

    def _explore(self):
        hypermodel = self.hypermodel
        if hypermodel is None:
            return
        build = hypermodel.build

        def build_and_keep(hp):
            self._built = build(hp)
            return self._built

        hypermodel.build = build_and_keep
        try:
            self.explore_space()
        finally:
            hypermodel.build = build

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
        if keras_tuner_private.is_chief():
            # The workers may still be at it.
            ongoing = files.read_json(self._oracle_path)["ongoing_trials"]
            for tuner_id, trial_id in ongoing.items():
                if trial_id in unfinished:
                    oracle.ongoing_trials[tuner_id] = unfinished.pop(trial_id)
        keras_tuner_private.queue_again(oracle, sorted(unfinished))

    def _trial_paths(self):
        pattern = os.path.join(
            glob.escape(self.project_dir), "trial_*", "trial.json"
        )
        return sorted(glob.glob(pattern))

    @property
    def _oracle_path(self):
        return os.path.join(self.project_dir, "oracle.json")

    def settings_path(self) -> str:
        # One search, whoever runs it.
        return os.path.join(str(self.project_dir), "tuner.json")


def _refuse_to_remove(folder):
    """Raises if a folder holds anything but a search, or a running one."""
    if not os.path.isdir(folder):
        return
    foreign = sorted(n for n in os.listdir(folder) if not OWN.fullmatch(n))
    if foreign:
        raise ValueError(
            f"{folder} holds what no search has written: {foreign}. "
            "`overwrite=True` would remove it. Give another `directory` or "
            "`project_name`, or remove it yourself."
        )
    lock = FolderLock(os.path.join(folder, LOCK))
    lock.acquire()
    lock.release()


def _is_of_a_library(function):
    return function.__module__.partition(".")[0] in ("keras_tuner", "keras_ff")


def refuse_other(place, saved, given):
    """Raises if a search is another one than was given."""
    files.refuse_other(f"{place}, a search's,", saved, given, CURE)
