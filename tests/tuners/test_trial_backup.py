"""Attempts at one trial do not disturb each other; plain Keras is enough."""

import os

import keras
import numpy as np
import pytest

keras_tuner = pytest.importorskip("keras_tuner")

from keras_ff.tuners.trial_backup import TrialBackup  # noqa: E402

pytestmark = pytest.mark.only_on("torch")

VALUES = {"learning_rate": 0.1}


class Checkpoint:
    """What stands in for KerasTuner's checkpoint of the best epoch."""

    def __init__(self):
        self.objective = keras_tuner.Objective("val_accuracy", "max")
        self.best_value = float("-inf")


class Attempt:
    def __init__(self, folder, worker, values=VALUES):
        self.checkpoint = Checkpoint()
        self.backup = TrialBackup(folder, worker, values, self.checkpoint)
        self.model = keras.Sequential(
            [keras.Input((2,)), keras.layers.Dense(1)]
        )
        self.model.compile("sgd")
        self.backup.set_model(self.model)
        self.first_epoch = self.backup.restore(self.model)
        self.backup.on_train_begin()

    def train(self, epoch, accuracy):
        self.model.set_weights([np.full((2, 1), accuracy), np.zeros(1)])
        self.backup.on_epoch_end(epoch, {"val_accuracy": accuracy})

    def weight(self):
        return float(self.model.get_weights()[0][0, 0])


def files(folder):
    return sorted(p for p in folder.rglob("*") if p.is_file())


def test_heir_goes_on_and_a_slow_worker_changes_nothing(tmp_path):
    slow = Attempt(tmp_path, "worker/0")
    for epoch, accuracy in enumerate([0.25, 0.75, 0.5]):
        slow.train(epoch, accuracy)
    heir = Attempt(tmp_path, "worker1")
    assert (heir.first_epoch, heir.weight()) == (3, 0.5)
    assert heir.checkpoint.best_value == 0.75
    heir.train(3, 0.125)
    # The one that was given up goes on, and ends.
    slow.backup.on_train_begin()
    slow.train(3, 1.0)
    slow.train(4, 1.0)
    slow.backup.on_train_end()
    slow.backup.remove()
    heir.train(4, 0.875)
    next_heir = Attempt(tmp_path, "worker1")
    assert (next_heir.first_epoch, next_heir.weight()) == (5, 0.875)
    expected = {"val_accuracy": [0.25, 0.75, 0.5, 0.125, 0.875]}
    assert next_heir.backup.history() == expected
    next_heir.backup.remove()
    assert not os.listdir(tmp_path)


def test_own_backup_replaces_those_before_it(tmp_path):
    for epoch in range(4):
        attempt = Attempt(tmp_path, "tuner0")
        assert attempt.first_epoch == epoch
        attempt.train(epoch, 0.5)
        # One attempt, one epoch: index, weights and lock.
        assert len(files(tmp_path)) == 3


def test_backup_of_other_hyperparameters_is_not_used(tmp_path):
    Attempt(tmp_path, "tuner0", {"learning_rate": 0.2}).train(0, 0.5)
    attempt = Attempt(tmp_path, "tuner0")
    assert attempt.first_epoch == 0
    assert attempt.checkpoint.best_value == float("-inf")


def test_damaged_backups_cost_the_trial_its_epochs_only(tmp_path):
    Attempt(tmp_path, "tuner0").train(0, 0.5)
    (index,) = tmp_path.rglob("backup.json")
    index.write_text("half a f")
    with pytest.warns(UserWarning, match="json is damaged(.|\n)*begins anew"):
        attempt = Attempt(tmp_path, "tuner0")
    assert attempt.first_epoch == 0
    attempt.train(0, 0.25)
    with pytest.warns(UserWarning, match="last whole backup, of 1 epochs"):
        assert Attempt(tmp_path, "tuner0").weight() == 0.25
