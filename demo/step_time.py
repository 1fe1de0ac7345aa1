import statistics
import time

import keras


class StepTimer(keras.callbacks.Callback):
    """Takes the time of every training step that `fit` makes."""

    def on_train_begin(self, logs=None):
        self.seconds = []

    def on_train_batch_begin(self, batch, logs=None):
        self._start = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        # Reading the loss waits for a step that runs asynchronously.
        float(logs["loss"])
        self.seconds.append(time.perf_counter() - self._start)


def median_step_seconds(models, train, validation, visits=3):
    """Median time of a training step of each model, inside `fit`.

    The models take turns, an epoch each, so that all see the same noise of
    the machine. The first steps of a visit warm up and do not count. The
    models are trained on a little by it.

    Args:
        models: dictionary from a name to a compiled, trained model.
        train: batches to train on.
        validation: batches for validation, whose time does not count.
        visits: int.

    Returns:
        Dictionary from a name to seconds.
    """
    seconds = {name: [] for name in models}
    for _ in range(visits):
        for name, model in models.items():
            timer = StepTimer()
            model.fit(
                train,
                validation_data=validation,
                shuffle=False,
                verbose=0,
                callbacks=[timer],
            )
            seconds[name] += timer.seconds[2:]
    return {name: statistics.median(times) for name, times in seconds.items()}
