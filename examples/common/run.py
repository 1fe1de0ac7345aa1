"""A resumable run and its results.

It writes into its output folder:

- `config.json`: the flags; the same command resumes an interrupted run, and
  other flags in the same folder are refused;
- `history.csv`: one row an epoch;
- `best.keras`, `model.keras`: the model of the best validation accuracy, and
  of the last epoch;
- `metrics.json`: test accuracy of both, of every layer, and how it was
  obtained;
- `curves.png`, `layers.png`: pictures (the latter with local layers only).
"""

import json
import math
import statistics
import time

import keras

import keras_ff
from benchmarks.measure import machine
from examples.common import folder
from examples.common import pictures
from examples.common.data import pipelines


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
        flags: the parsed flags.
        build: function `DatasetInfo -> compiled model`.
        learning_rate, final_learning_rate: ends of a cosine over the epochs,
            stepped once an epoch.
        load: function `flags -> Splits` of batches.
        prepare: function `(model, train)`, called before a new training.
    """
    output = flags.output
    output.mkdir(parents=True, exist_ok=True)
    # Where the files lie does not make it another run.
    config = {
        k: v for k, v in vars(flags).items() if k not in ("output", "data_dir")
    }
    config["backend"] = keras.backend.backend()
    # As it is read back: tuples become lists.
    config = json.loads(json.dumps(config))
    folder.check_config(output, config)
    if (output / "metrics.json").exists():
        print_results(folder.read_json(output / "metrics.json"))
        print(f"This run is finished. Remove {output} to train anew.")
        return

    keras.utils.set_random_seed(flags.seed)
    keras.config.set_dtype_policy(flags.dtype)
    train, validation, test = load(flags)
    model = build(keras_ff.datasets.info(flags.dataset))
    model.summary()

    backup = keras_ff.callbacks.Backup(output / "backup")
    next_epoch = backup.restore(model)
    if prepare is not None and not next_epoch:
        prepare(model, train)
    # Not before: flags that do not work shall not claim the folder.
    folder.write_json(output / "config.json", config)
    model.fit(
        train,
        validation_data=validation,
        epochs=flags.epochs,
        initial_epoch=next_epoch,
        # The data has an order of its own.
        shuffle=False,
        verbose=2,
        callbacks=[
            keras.callbacks.LearningRateScheduler(
                cosine(learning_rate, final_learning_rate, flags.epochs)
            ),
            keras.callbacks.ModelCheckpoint(
                output / "best.keras",
                monitor="val_accuracy",
                mode="max",
                save_best_only=True,
                initial_value_threshold=max(
                    backup.history().get("val_accuracy", []), default=None
                ),
            ),
            # Keras's own models would see the first epoch's order again.
            keras.callbacks.LambdaCallback(
                on_epoch_begin=lambda epoch, logs: train.set_epoch(epoch)
            ),
            Seconds(),
            backup,
            keras.callbacks.LambdaCallback(
                on_epoch_end=lambda epoch, logs: folder.write_history(
                    output / "history.csv", backup.history()
                )
            ),
        ],
    )
    model.save(output / "model.keras")

    best = keras.saving.load_model(output / "best.keras")
    last_result = model.evaluate(test, verbose=0, return_dict=True)
    history = backup.history()
    results = {
        "config": config,
        "test_accuracy_last_epoch": last_result["accuracy"],
        "test_accuracy_validation_selected": best.evaluate(
            test, verbose=0, return_dict=True
        )["accuracy"],
        "selected_epoch": history["val_accuracy"].index(
            max(history["val_accuracy"])
        ),
        **local_results(model, last_result),
        "parameters": model.count_params(),
        "seconds": sum(history["seconds"]),
        "median_seconds_of_an_epoch": statistics.median(history["seconds"]),
        "hardware": machine.hardware(),
        "versions": machine.versions(config["backend"]),
        "history": history,
    }
    folder.write_json(output / "metrics.json", results)
    print_results(results)
    pictures.draw(title, output, results)


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
