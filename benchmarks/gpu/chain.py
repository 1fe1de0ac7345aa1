"""The whitened chain of single convolutions on CIFAR-10.

The recipes `...-whitened_cnn-cifar10` of `examples/recipes.py`, but with all
50,000 training images; what counts is the test accuracy after the last epoch.
Nothing is chosen by test images.
"""

import statistics
import time
import traceback

from benchmarks.gpu import session as sessions

SEEDS = (0, 1, 2)
# Seconds to trace, test and the like, besides the steps of a run.
REST = 12


def recipe_of(method):
    from examples import recipes

    (family,) = [f for f, m in recipes.FAMILIES.items() if m == method]
    return recipes.RECIPES[f"{family}-whitened_cnn-cifar10"]


def run(session, methods):
    epochs, per_epoch = recipe_of(methods[0])["epochs"], None
    # A seed of every method before the next seed of any.
    for seed in SEEDS if session.real else SEEDS[:1]:
        for method in methods:
            if session.real and per_epoch is not None:
                if session.left() < epochs * per_epoch + REST:
                    session.record("left out", method=method, seed=seed)
                    continue
            try:
                per_epoch = _train(session, method, seed, epochs)
            except _TooLong as found:
                per_epoch = found.per_epoch
                epochs = max(2, int((session.left() - 60) / per_epoch))
                session.record("shortened", epochs=epochs)
                per_epoch = _train(session, method, seed, epochs)
            except Exception as error:
                # The next one may do better.
                traceback.print_exc()
                session.record(
                    "failed", method=method, seed=seed, error=str(error)
                )


class _TooLong(Exception):
    def __init__(self, per_epoch):
        self.per_epoch = per_epoch


def _train(session, method, seed, epochs):
    import keras

    import keras_ff
    from examples import reproduce

    sessions.setup(seed=seed)
    recipe = recipe_of(method)
    batch_size = session.batch_size(recipe["batch_size"])
    train, _, test = session.arrays(batch_size, 0, seed)
    start = time.perf_counter()
    batches = reproduce.training_batches(recipe, train, batch_size, seed)
    width = 0.05 if session.dry else 1.0
    model = reproduce.build(
        recipe,
        keras_ff.datasets.info(recipe["dataset"]),
        width,
        steps=epochs * len(batches),
    )
    reproduce.prepare(model, batches)
    began, seconds = [], []
    session.record(
        "start",
        method=method,
        seed=seed,
        epochs=epochs,
        batch_size=batch_size,
        width_multiplier=width * recipe["width"],
        parameters=model.count_params(),
        seconds_to_build=time.perf_counter() - start,
    )

    def begin(epoch, logs):
        batches.set_epoch(epoch)
        began.append(time.perf_counter())

    def end(epoch, logs):
        seconds.append(time.perf_counter() - began[-1])
        session.record(
            "epoch",
            method=method,
            seed=seed,
            epoch=epoch + 1,
            seconds=seconds[-1],
            loss=float(logs["loss"]),
            training_accuracy=sessions.percent(logs),
        )
        # The first epoch compiles.
        needed = (epochs - epoch - 1) * seconds[-1] + REST / 2
        if session.real and epoch == 1 and session.left() < needed:
            raise _TooLong(seconds[-1])

    model.fit(
        batches,
        epochs=epochs if session.real else 2,
        shuffle=False,
        verbose=0,
        callbacks=[
            keras.callbacks.LambdaCallback(
                on_epoch_begin=begin, on_epoch_end=end
            )
        ],
    )
    result = model.evaluate(
        keras_ff.datasets.ArrayBatches(
            test, session.batch_size(sessions.TEST_BATCH_SIZE)
        ),
        verbose=0,
        return_dict=True,
    )
    # The first epoch compiles.
    per_epoch = statistics.median(seconds[1:])
    session.record(
        "result",
        method=method,
        seed=seed,
        epochs=len(seconds),
        seconds=sum(seconds),
        seconds_of_an_epoch=per_epoch,
        images_per_second=len(batches) * batch_size / per_epoch,
        test_accuracy_last_epoch=100 * result["accuracy"],
        test_accuracy=sessions.percent(result),
        peak_memory_gib=sessions.peak_memory_gib(),
    )
    return per_epoch
