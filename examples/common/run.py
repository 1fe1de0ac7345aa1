"""A resumable run and its results.

It writes into its output folder:

- `config.json`: the flags; the same command resumes an interrupted run, and
  other flags in the same folder are refused;
- `history.csv`: one row an epoch;
- `best.keras`, `model.keras`: the model of the best validation accuracy, if
  there are validation data, and of the last epoch;
- `schedule.json`: how many epochs the minutes pay for, if minutes were asked
  for;
- `metrics.json`: test accuracy of both, of every layer, and how it was
  obtained;
- `curves.png`, `layers.png`: pictures (the latter with local layers only);
- `run.lock`: as long as the run works; a second one is refused.
"""

import json
import math
import statistics
import time

import keras

import keras_ff
from benchmarks.measure import machine
from examples.common import allocator
from examples.common import folder
from examples.common import mirrored
from examples.common import pictures
from examples.common import processes
from examples.common import schedule
from examples.common.data import pipelines

# What does not make it another run: where things lie, what else is told, and
# how many work.
BESIDES = ("output", "data_dir", "mirror", "devices")


def run(
    title,
    flags,
    build,
    learning_rate,
    final_learning_rate,
    load=pipelines,
    prepare=None,
):
    """Trains, or goes on training, and writes the results.

    Args:
        title: string, the name of the method in pictures.
        flags: the parsed flags. `epochs`, or `minutes` for as many epochs as
            this machine trains and validates in them. With `mirror` test
            accuracy is also told as averaged with the mirrored image.
        build: function `(info, training batches, epochs) -> compiled
            model`.
        learning_rate, final_learning_rate: ends of a cosine over the epochs,
            stepped once an epoch. Without an end the optimizer has a schedule
            of its own.
        load: function `flags -> Splits` of batches. Without test data there
            is no test accuracy.
        prepare: function `(model, train)`, called before a new training.

    Returns:
        The content of `metrics.json`.
    """
    config = {k: v for k, v in vars(flags).items() if k not in BESIDES}
    config["backend"] = keras.backend.backend()
    # As it is read back: tuples become lists.
    config = json.loads(json.dumps(config))
    output = flags.output
    mirror = getattr(flags, "mirror", False)
    results = _finished(output, config)
    if results is not None:
        print(f"This run is finished. Remove {output} to train anew.")
    if _lacks(results, mirror) or pictures.missing(output, results):
        with folder.held(output):
            results = _finished(output, config)
            if results is None:
                rates = learning_rate, final_learning_rate
                results = _train(flags, config, build, rates, load, prepare)
                folder.write_json(output / "metrics.json", results)
            if _lacks(results, mirror):
                results["mirrored"] = _mirrored(flags, load, results)
                folder.write_json(output / "metrics.json", results)
            pictures.draw(title, output, results)
    print_results(results)
    return results


def _lacks(results, mirror):
    return results is None or (mirror and "mirrored" not in results)


def _finished(output, config):
    """The results of a run that was finished before, or `None`."""
    folder.check_config(output, config)
    path = output / "metrics.json"
    if not path.exists():
        return None
    return folder.read_json(path, ["history", "test_accuracy_last_epoch"])


def _train(flags, config, build, rates, load, prepare):
    output = flags.output
    allocator.keep_freed_memory()
    keras.config.set_dtype_policy(flags.dtype)
    info = keras_ff.datasets.info(flags.dataset)

    def make(train, epochs):
        keras.utils.set_random_seed(flags.seed)
        with processes.scope():
            model = build(info, train, epochs)
        processes.check(model)
        return model

    length = _length(flags, make, load, prepare)
    epochs = length["epochs"]
    train, validation, test = load(flags)
    model = make(train, epochs)
    model.summary()

    backup = keras_ff.callbacks.Backup(output / "backup")
    with folder.advice():
        next_epoch = backup.restore(model)
    if prepare is not None and not next_epoch:
        prepare(model, train)
    model.fit(
        train,
        validation_data=validation,
        epochs=epochs,
        initial_epoch=next_epoch,
        # The data has an order of its own.
        shuffle=False,
        verbose=2,
        callbacks=[
            keras.callbacks.LambdaCallback(
                # Not before: flags that do not work shall not claim the folder.
                on_train_begin=lambda logs: _claim(output, config, length),
                # Keras's own models would see the first epoch's order again.
                on_epoch_begin=lambda epoch, logs: train.set_epoch(epoch),
            ),
            *_cosine(*rates, epochs),
            Best(output / "best.keras", backup.history()),
            Seconds(),
            backup,
            keras.callbacks.LambdaCallback(
                on_epoch_end=lambda epoch, logs: folder.write_history(
                    output / "history.csv", backup.history()
                )
            ),
        ],
    )
    folder.save_model(model, output / "model.keras")
    history = backup.history()
    seconds = history["seconds"]
    per_epoch = statistics.median(seconds)
    return {
        "config": config,
        **_tested(model, output, test, history),
        "parameters": model.count_params(),
        "epochs": epochs,
        "seconds": sum(seconds),
        "minutes": {
            "asked": length.get("minutes_asked"),
            "taken": sum(seconds) / 60,
        },
        "median_seconds_of_an_epoch": per_epoch,
        # Of training, though the seconds are also those of validation.
        "images_per_second": len(train) * flags.batch_size / per_epoch,
        "devices": processes.devices(),
        "hardware": machine.hardware(),
        "versions": machine.versions(config["backend"]),
        "history": history,
    }


def _length(flags, make, load, prepare):
    """The schedule of the minutes, or of the epochs."""
    minutes = getattr(flags, "minutes", None)
    if minutes is None:
        return {"epochs": flags.epochs}
    if processes.several():
        raise SystemExit(
            "--minutes asks for as many epochs as one process measures. Give "
            "several processes --epochs."
        )
    length = schedule.saved(flags.output, minutes)
    if length is None:
        train, validation, _ = load(flags)
        model = make(train, 1)
        if prepare is not None:
            prepare(model, train)
        speed = schedule.measured_speed(model, train, validation)
        length = schedule.of_minutes(minutes, speed)
        # As if nothing had been made before.
        del model
        keras.utils.clear_session()
    print(f"{length['epochs']} epochs in {minutes:g} minutes", flush=True)
    return length


def _claim(output, config, length):
    if "minutes_asked" in length:
        folder.write_json(output / "schedule.json", length)
    folder.write_json(output / "config.json", config)


def _cosine(first, last, epochs):
    if last is None:
        return []
    rate = cosine(first, last, epochs)
    return [keras.callbacks.LearningRateScheduler(rate)]


def _tested(model, output, test, history):
    if test is None:
        return {"test_accuracy_last_epoch": None}
    last = model.evaluate(test, verbose=0, return_dict=True)
    return {
        "test_accuracy_last_epoch": last["accuracy"],
        **_selected(output, test, history),
        **local_results(model, last),
    }


def _mirrored(flags, load, results):
    """Test accuracy, averaged with the mirrored image."""
    test = load(flags).test
    keys = ["last_epoch", "validation_selected"]
    return {
        f"test_accuracy_{key}": mirrored.accuracy(
            folder.load_model(flags.output / file, flags.output), test
        )
        for key, file in zip(keys, ("model.keras", "best.keras"))
        if results.get(f"test_accuracy_{key}") is not None
    }


def _selected(output, test, history):
    """What validation chose; nothing without validation data."""
    accuracy = history.get("val_accuracy")
    if accuracy is None:
        return {
            "test_accuracy_validation_selected": None,
            "selected_epoch": None,
        }
    best = folder.load_model(output / "best.keras", output)
    result = best.evaluate(test, verbose=0, return_dict=True)
    return {
        "test_accuracy_validation_selected": result["accuracy"],
        "selected_epoch": accuracy.index(max(accuracy)),
    }


def print_results(results):
    shown = {k: v for k, v in results.items() if k != "history"}
    print(json.dumps(shown, indent=2))


def local_results(model, result):
    """What only a model of local layers has."""
    if not isinstance(model, keras_ff.models.ForwardOnlyModel):
        return {}
    return {
        "layer_accuracy": {
            layer.name: result[f"{layer.name}_accuracy"]
            for layer in model.local_layers
        },
        "contribution": model.contribution.weights.tolist(),
    }


def cosine(start, end, epochs):
    def learning_rate(epoch):
        return (
            end + (start - end) * (1 + math.cos(math.pi * epoch / epochs)) / 2
        )

    return learning_rate


class Seconds(keras.callbacks.Callback):
    """Logs the time of every epoch, and says how much is left."""

    def on_epoch_begin(self, epoch, logs=None):
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        logs["seconds"] = time.perf_counter() - self._start
        left = logs["seconds"] * (self.params["epochs"] - epoch - 1) / 60
        print(f"about {left:.1f} minutes left", flush=True)


class Best(keras.callbacks.Callback):
    """Keeps the model of the best validation accuracy, in a whole file.

    Args:
        path: path of the file.
        history: dictionary of the metrics of the epochs before.
    """

    def __init__(self, path, history):
        super().__init__()
        self._path = path
        self._best = max(history.get("val_accuracy", []), default=-math.inf)

    def on_epoch_end(self, epoch, logs=None):
        accuracy = logs.get("val_accuracy", -math.inf)
        if accuracy > self._best:
            self._best = accuracy
            folder.save_model(self.model, self._path)
