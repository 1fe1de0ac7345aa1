"""CAW-Conv's ResNet-17 on CIFAR-10, its schedule pressed into the time left.

Network, recipe and split are those published (`caw-resnet17-cifar10` of
`examples/recipes.py`); only the number of epochs is smaller, if it must be.
The images of validation weigh the layers; the test images are used once, after
the last epoch.
"""

import math
import pathlib
import time
import traceback

import numpy as np

from benchmarks.gpu import session as sessions

EPOCHS = 150
LEARNING_RATE = (0.08, 0.006)
VALIDATION_SPLIT = 0.02
BATCH_SIZE = 128
# Seconds to test twice and to write the weights.
REST = 25
PARTS = 4


def run(session):
    for dtype in ("mixed_bfloat16", "float32"):
        try:
            return _train(session, dtype)
        except ValueError as error:
            # A loss that is not finite, for instance.
            traceback.print_exc()
            session.record("failed", dtype=dtype, error=str(error))


def _train(session, dtype):
    import keras

    import keras_ff

    sessions.setup(dtype)
    start = time.perf_counter()
    batch_size = session.batch_size(BATCH_SIZE)
    test_batch_size = session.batch_size(sessions.TEST_BATCH_SIZE)
    train, validation, test = session.arrays(
        batch_size, VALIDATION_SPLIT, seed=0
    )
    model = build(session, "caw")
    session.record(
        "start",
        dtype=dtype,
        batch_size=batch_size,
        parameters=model.count_params(),
        seconds_to_build=time.perf_counter() - start,
    )
    batches = keras_ff.datasets.ArrayBatches
    train = batches(train, batch_size, seed=0, drop_remainder=True)
    validation = batches(validation, test_batch_size)
    test = batches(test, test_batch_size)
    pace = Pace(session, EPOCHS if session.real else 3)

    def end(epoch, logs):
        pace.end(epoch, logs)
        if pace.epochs_left() < 1:
            model.stop_training = True

    model.fit(
        train,
        validation_data=validation,
        epochs=pace.epochs,
        shuffle=False,
        verbose=0,
        callbacks=[
            keras.callbacks.LearningRateScheduler(pace.learning_rate),
            keras.callbacks.LambdaCallback(on_epoch_end=end),
        ],
    )
    result = model.evaluate(test, verbose=0, return_dict=True)
    session.record(
        "result",
        epochs=len(pace.seconds),
        seconds=sum(pace.seconds),
        seconds_of_an_epoch=pace.per_epoch(),
        images_per_second=len(train) * batch_size / pace.per_epoch(),
        test_accuracy_last_epoch=100 * result["accuracy"],
        test_accuracy=sessions.percent(result),
        contribution=model.contribution.weights.tolist(),
        peak_memory_gib=sessions.peak_memory_gib(),
    )
    if session.real or session.dry:
        save(model, pathlib.Path(session.output))
        rounded = model.evaluate(test, verbose=0, return_dict=True)
        session.record(
            "weights", test_accuracy_of_the_parts=100 * rounded["accuracy"]
        )


def build(session, method, source="validation"):
    import keras

    import keras_ff

    options = {}
    if method == "caw":
        options = dict(
            contribution=keras_ff.contributions.LossAware(source),
            layer_clipnorm=1.0,
            layer_metrics=True,
        )
    model = keras_ff.applications.resnet17(
        (32, 32, 3),
        10,
        method=method,
        width_multiplier=0.1 if session.dry else 1.0,
        dropout=0.1,
        preprocessing=keras_ff.datasets.preprocessing("cifar10"),
        model_options=options,
    )
    model.compile(
        keras.optimizers.AdamW(LEARNING_RATE[0], weight_decay=5e-4),
        loss=keras_ff.losses.LocalCrossentropy(label_smoothing=0.1),
        metrics=["accuracy"],
    )
    return model


class Pace:
    """A cosine over the epochs that still fit, told anew in every epoch."""

    def __init__(self, session, epochs):
        self.session = session
        self.epochs = epochs
        self.seconds = []
        self.done = 0.0
        self.rate = LEARNING_RATE[0]
        self.start = time.perf_counter()

    def per_epoch(self):
        # The first epoch compiles.
        return float(np.median(self.seconds[-5:][-len(self.seconds) + 1 :]))

    def epochs_left(self):
        left = self.epochs - len(self.seconds)
        if len(self.seconds) < 2 or not self.session.real:
            return left
        fit = (self.session.left() - REST) / self.per_epoch()
        return min(left, int(fit))

    def learning_rate(self, epoch, rate):
        first, last = LEARNING_RATE
        self.rate = (
            last + (first - last) * (1 + math.cos(math.pi * self.done)) / 2
        )
        self.done += (1 - self.done) / max(1, self.epochs_left())
        self.start = time.perf_counter()
        return self.rate

    def end(self, epoch, logs):
        self.seconds.append(time.perf_counter() - self.start)
        self.session.record(
            "epoch",
            epoch=epoch + 1,
            epochs_left=self.epochs_left(),
            seconds=self.seconds[-1],
            learning_rate=self.rate,
            loss=float(logs["loss"]),
            training_accuracy=100 * float(logs["accuracy"]),
            validation_accuracy=100 * float(logs["val_accuracy"]),
        )


def save(model, folder):
    """Rounds kernels to float16 and writes all weights in a few parts."""
    loads = [{} for _ in range(PARTS)]
    sizes = [0] * PARTS
    arrays = {}
    for variable in model.variables:
        value = np.asarray(variable)
        if value.ndim == 4:
            value = value.astype("float16")
            variable.assign(value.astype("float32"))
        arrays[variable.path] = value
    for name in sorted(arrays, key=lambda name: -arrays[name].nbytes):
        value = arrays[name]
        # The largest kernels of the published width take half a part each.
        load = int(np.argmin(sizes))
        loads[load][name.replace("/", "|")] = value
        sizes[load] += value.nbytes
    for number, load in enumerate(loads):
        np.savez(folder / f"caw-resnet17-cifar10-{number}.npz", **load)
