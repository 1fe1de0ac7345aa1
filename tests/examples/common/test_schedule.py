"""Time budgets become whole epochs of the speed that is measured."""

import time

import keras
import numpy as np
import pytest

import keras_ff
from examples.common import schedule

pytestmark = pytest.mark.only_on("torch")


class Slow(keras_ff.datasets.ArrayBatches):
    """Batches that take 30 milliseconds each, as a pipeline may."""

    def __getitem__(self, index):
        time.sleep(0.03)
        return super().__getitem__(index)


def test_speed_counts_steps_data_and_validation(monkeypatch):
    monkeypatch.setattr(schedule, "SECONDS", 0.0)
    x = np.random.default_rng(0).normal(size=(60, 3)).astype("float32")
    y = np.arange(60) % 2
    # Three steps an epoch, six of validation; four are not reached in one.
    train, validation = Slow((x, y), 20), Slow((x, y), 10)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile(
        "sgd",
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    alone = schedule.measured_speed(model, train, None)
    assert alone["seconds_of_an_epoch"] > 3 * 0.03
    assert alone["seconds_to_start"] >= 0
    both = schedule.measured_speed(model, train, validation)
    assert both["seconds_of_an_epoch"] > 9 * 0.03


def test_whole_epochs_fit_into_the_minutes():
    speed = {"seconds_of_an_epoch": 50.0, "seconds_to_start": 30.0}
    # 30 + 5 * 50 seconds are less than 5 minutes, one epoch more is not.
    assert schedule.of_minutes(5, speed)["epochs"] == 5
    assert schedule.of_minutes(80 / 60, speed)["epochs"] == 1
    with pytest.raises(SystemExit) as error:
        schedule.of_minutes(1, speed)
    message = str(error.value)
    assert "--minutes 1 is too short for one epoch" in message
    assert "takes 0.83 minutes here, after 0.5 minutes to start" in message
    # What it advises works.
    enough = float(message.split("Give --minutes ")[1].split()[0])
    assert schedule.of_minutes(enough, speed)["epochs"] >= 1
