"""Searches that train nothing, and calls that need no network."""

import keras_tuner

from keras_ff.tuners import ReliableSearch
from keras_ff.tuners.reliable.chief import WORKER
from keras_ff.tuners.reliable.keras_tuner_private import message


def build(hp):
    hp.Choice("kind", ["a", "b"])
    hp.Float("rate", 0.0, 1.0)
    hp.Int("depth", 1, 9, parent_name="kind", parent_values=["b"])


class Search(ReliableSearch, keras_tuner.RandomSearch):
    """Trials that only write down that they ran."""

    runs = None

    def run_trial(self, trial, *args, **kwargs):
        if self.runs is not None:
            self.runs.append(trial.trial_id)
        return {"val_accuracy": trial.hyperparameters.get("rate")}


def make(folder, hypermodel=build, kind=Search, **options):
    if kind is Search:
        options.setdefault("max_trials", 3)
    return kind(
        hypermodel, directory=folder, project_name="p", seed=1, **options
    )


def statuses(tuner):
    return [trial.status for trial in tuner.oracle.trials.values()]


class Refused(Exception):
    """What `abort` raises."""


class Call:
    """Stands in for a call of a worker, or of nobody."""

    def __init__(self, worker=None):
        self._metadata = [] if worker is None else [(WORKER, worker.encode())]

    def invocation_metadata(self):
        return self._metadata

    def abort(self, code, details):
        raise Refused(f"{code.name}: {details}")


def ask(chief, worker):
    request = message("CreateTrialRequest", tuner_id=worker)
    proto = chief.CreateTrial(request, Call(worker)).trial
    return keras_tuner.engine.trial.Trial.from_proto(proto)


def end(chief, worker, trial, status="COMPLETED"):
    if status == "COMPLETED":
        request = message(
            "UpdateTrialRequest",
            trial_id=trial.trial_id,
            metrics={"val_accuracy": 0.5},
            step=0,
        )
        chief.UpdateTrial(request, Call(worker))
    trial.status = status
    chief.EndTrial(
        message("EndTrialRequest", trial=trial.to_proto()), Call(worker)
    )
