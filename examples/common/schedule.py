"""How long a training is: epochs, or as many as fit into some minutes."""

import time

import keras

from examples.common import folder

# Steps before and at least in the measurement, and its seconds at least.
WARM_UP = 2
STEPS = 2
SECONDS = 5.0
MOST_STEPS = 50
VALIDATION_STEPS = 2


def measured_speed(model, train, validation):
    """Times some steps of a model, which is trained by them.

    Args:
        model: a compiled model, as it will be trained.
        train, validation: batches; `validation` may be `None`.

    Returns:
        Dict: `seconds_of_an_epoch`, with its validation, and
        `seconds_to_start`, of compilation and the like, once a training.
    """
    ends = _StepEnds()
    start = time.perf_counter()
    # It stops itself.
    model.fit(train, epochs=10**6, shuffle=False, verbose=0, callbacks=[ends])
    first, *_, last = ends.seconds[WARM_UP - 1 :]
    step = (last - first) / (len(ends.seconds) - WARM_UP)
    to_start = max(0.0, ends.seconds[0] - start - step)
    epoch = len(train) * step
    if validation is not None:
        steps = min(VALIDATION_STEPS, len(validation))
        cold, warm = (_evaluation(model, validation, steps) for _ in range(2))
        epoch += warm * len(validation) / steps
        to_start += max(0.0, cold - warm)
    return {"seconds_of_an_epoch": epoch, "seconds_to_start": to_start}


def _evaluation(model, validation, steps):
    start = time.perf_counter()
    model.evaluate(validation, steps=steps, verbose=0)
    return time.perf_counter() - start


def of_minutes(minutes, speed):
    """The schedule of a training that fits into some minutes.

    Args:
        minutes: float, of all epochs with their validation.
        speed: what `measured_speed` returns.

    Returns:
        Dict: `minutes_asked`, `epochs` and the speed.
    """
    seconds = 60 * minutes - speed["seconds_to_start"]
    epochs = int(seconds / speed["seconds_of_an_epoch"])
    if epochs < 1:
        raise SystemExit(
            f"--minutes {minutes:g} is too short for one epoch, which takes "
            f"{speed['seconds_of_an_epoch'] / 60:.2g} minutes here, after "
            f"{speed['seconds_to_start'] / 60:.2g} minutes to start. Give "
            f"--minutes {sum(speed.values()) / 60 * 1.1:.2g} or more, or a "
            "smaller --width-multiplier."
        )
    return {"minutes_asked": minutes, "epochs": epochs, **speed}


def saved(output, minutes):
    """The schedule of a run that began before, or `None`."""
    path = output / "schedule.json"
    if path.exists():
        schedule = folder.read_json(path, ["minutes_asked", "epochs"])
        # What never began may be asked for anew.
        return schedule if schedule["minutes_asked"] == minutes else None
    if (output / "backup").exists():
        raise SystemExit(
            f"{output} holds a run, but not its schedule ({path}). "
            + folder.CURE.format(output)
        )
    return None


class _StepEnds(keras.callbacks.Callback):
    """When steps ended; ends the training when there are enough."""

    def __init__(self):
        super().__init__()
        self.seconds = []

    def on_train_batch_end(self, batch, logs=None):
        # Reading the loss waits for a step that runs asynchronously.
        float(logs["loss"])
        self.seconds.append(time.perf_counter())
        number = len(self.seconds) - WARM_UP
        self.model.stop_training = number >= STEPS and (
            number >= MOST_STEPS
            or self.seconds[-1] - self.seconds[WARM_UP - 1] >= SECONDS
        )
