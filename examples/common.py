"""What the examples share: flags, a resumable run, and its results.

A run writes into its output folder:

- `config.json`: the flags; the same command resumes an interrupted run, and
  other flags in the same folder are refused;
- `history.csv`: one row an epoch;
- `best.keras`, `model.keras`: the model of the best validation accuracy, and
  of the last epoch;
- `metrics.json`: test accuracy of both, of every layer, and how it was
  obtained;
- `curves.png`, `layers.png`: pictures (the latter with local layers only).
"""

import argparse
import csv
import io
import json
import math
import os
import pathlib
import platform
import statistics
import sys
import time

import keras

import keras_ff
from keras_ff import contributions

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from benchmarks import machine  # noqa: E402

DTYPES = ("float32", "mixed_bfloat16", "mixed_float16")
DATASETS = (
    "mnist",
    "fashion_mnist",
    "cifar10",
    "cifar100",
    "tiny_imagenet",
    "imagenet2012",
    "digits",
)


def positive_int(text):
    return _number(int, text, lambda value: value > 0, "a positive integer")


def positive_float(text):
    return _number(
        float,
        text,
        lambda value: 0 < value < float("inf"),
        "a positive number",
    )


def seed(text):
    return _number(
        int,
        text,
        lambda value: 0 <= value < 2**32,
        "an integer from 0 to 2**32 - 1",
    )


def _number(kind, text, fits, expected):
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not fits(value):
        raise argparse.ArgumentTypeError(f"must be {expected}, received {text}")
    return value


def folder(text):
    path = pathlib.Path(text)
    if path.exists() and not path.is_dir():
        raise argparse.ArgumentTypeError(
            f"must be a folder, not a file: {text}"
        )
    return path


def parser(description, architectures):
    flags = argparse.ArgumentParser(
        description=description,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = flags.add_argument
    add("--dataset", choices=DATASETS, default="fashion_mnist")
    add("--data-dir", help="folder of prepared TFDS data")
    add("--architecture", choices=architectures, default=architectures[0])
    add("--width-multiplier", type=positive_float, default=1.0)
    add("--epochs", type=positive_int, default=10)
    add("--batch-size", type=positive_int, default=128)
    add("--seed", type=seed, default=0)
    add("--validation-split", type=float, default=0.1)
    add("--augment", action="store_true", help="shifts and flips")
    add("--dtype", choices=DTYPES, default="float32")
    add("--output", type=folder, required=True, help="folder of the run")
    return flags


def add_contribution(flags, default):
    flags.add_argument(
        "--contribution", choices=contributions.names(), default=default
    )


def contribution(flags):
    return contributions.get(flags.contribution)


def pipelines(flags, image_size=None):
    """The data of the flags, read and normalised by `tf.data`."""
    return keras_ff.datasets.load(
        flags.dataset,
        batch_size=flags.batch_size,
        data_dir=flags.data_dir,
        augment=flags.augment,
        validation_split=flags.validation_split,
        seed=flags.seed,
        image_size=image_size,
    )


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
    check_config(output, config)
    if (output / "metrics.json").exists():
        print_results(read_json(output / "metrics.json"))
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
    write_json(output / "config.json", config)
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
                on_epoch_end=lambda epoch, logs: write_history(
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
        "hardware": hardware(),
        "versions": {
            "keras": keras.__version__,
            "keras_ff": keras_ff.__version__,
            "python": platform.python_version(),
        },
        "history": history,
    }
    write_json(output / "metrics.json", results)
    print_results(results)
    draw(title, output, results)


def print_results(results):
    shown = {k: v for k, v in results.items() if k != "history"}
    print(json.dumps(shown, indent=2))


def hardware():
    return {
        "processor": machine.cpu(),
        "cores": os.cpu_count(),
        "accelerator": machine.accelerator(),
    }


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


def check_config(output, config):
    """Refuses a folder that holds another run."""
    path = output / "config.json"
    if path.exists():
        saved = read_json(path)
        differing = {
            key: (saved.get(key), config.get(key))
            for key in {*saved, *config}
            if saved.get(key) != config.get(key)
        }
        if differing:
            raise SystemExit(
                f"{output} holds a run with other flags (saved, given): "
                f"{differing}. Give another --output."
            )
    elif (output / "backup").exists():
        raise SystemExit(
            f"{output} holds a run, but not its flags ({path}). Give another "
            "--output."
        )


def write_json(path, content):
    _write(path, json.dumps(content, indent=2) + "\n")


def write_history(path, history):
    """One line an epoch."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["epoch", *history])
    writer.writerows(
        [epoch, *row] for epoch, row in enumerate(zip(*history.values()))
    )
    _write(path, text.getvalue())


def _write(path, text):
    """Writes a file that is either whole or the one before."""
    part = path.with_suffix(".part")
    part.write_text(text)
    part.replace(path)


def read_json(path):
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise SystemExit(
            f"{path} is damaged: {error}. Remove it, or give another --output."
        ) from error


def cosine(start, end, epochs):
    def learning_rate(epoch):
        return (
            end + (start - end) * (1 + math.cos(math.pi * epoch / epochs)) / 2
        )

    return learning_rate


def draw(title, output, results):
    try:
        import matplotlib
    except ModuleNotFoundError:
        print("No pictures: matplotlib is not installed.")
        return
    matplotlib.use("Agg")
    from keras_ff import visualization

    # A recipe's name is long; it stands above, not beside its only curve.
    axes = visualization.learning_curves({"": results["history"]})
    axes.set_title(title)
    axes.figure.savefig(output / "curves.png", dpi=150)
    if "layer_accuracy" in results:
        axes = visualization.layer_accuracy(
            list(results["layer_accuracy"]),
            list(results["layer_accuracy"].values()),
            combined=results["test_accuracy_last_epoch"],
        )
        axes.figure.savefig(output / "layers.png", dpi=150)


class Seconds(keras.callbacks.Callback):
    """Logs the time of every epoch, and says how much is left."""

    def on_epoch_begin(self, epoch, logs=None):
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        logs["seconds"] = time.perf_counter() - self._start
        left = logs["seconds"] * (self.params["epochs"] - epoch - 1) / 60
        print(f"about {left:.1f} minutes left", flush=True)
