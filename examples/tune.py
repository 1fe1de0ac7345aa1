"""Searches method, network and training with KerasTuner.

    python examples/tune.py --tuner hyperband --output runs/tune

The same command goes on after an interruption; more `--trials` may be asked
for. Several machines (or processes) with a shared output folder search
together: the same command, with the environment variables
KERASTUNER_ORACLE_IP and KERASTUNER_ORACLE_PORT of the chief, and
KERASTUNER_TUNER_ID, `chief` once and a name of its own for every worker. If
the address is not of one machine alone (127.0.0.1), all need the same secret
in KERAS_FF_CHIEF_SECRET. A worker that died may be started again, or not.

Writes `trials.json`, `trials.png` and KerasTuner's own folder `search`, and
prints a table of the trials, best first.
"""

import argparse
import contextlib
import functools
import os
import signal

import keras
import keras_tuner

import keras_ff
from benchmarks.measure import machine
from examples.common import folder
from examples.common import options
from keras_ff.tuners import ReliableSearch


class RandomSearch(ReliableSearch, keras_tuner.RandomSearch):
    pass


class Hyperband(ReliableSearch, keras_tuner.Hyperband):
    pass


class BayesianOptimization(ReliableSearch, keras_tuner.BayesianOptimization):
    pass


# What may differ when a search goes on.
FREE = ("output", "data_dir", "trials", "chief_timeout", "worker_timeout")


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--dataset", choices=options.DATASETS, default="fashion_mnist")
    add("--data-dir", help="folder of prepared TFDS data")
    add("--architectures", nargs="+", default=["tiny_cnn"])
    add("--methods", nargs="+", default=["caw", "prototype", "projection"])
    add(
        "--width-multiplier",
        type=options.positive_float,
        help="fixes the width, which is searched otherwise",
    )
    add(
        "--tuner",
        choices=["random", "hyperband", "bayesian"],
        default="random",
    )
    add(
        "--trials",
        type=options.positive_int,
        default=20,
        help="number of trials; Hyperband's follows from the epochs",
    )
    add(
        "--epochs",
        type=options.positive_int,
        default=3,
        help="of a trial; the longest one's with Hyperband",
    )
    add("--seed", type=options.seed, default=0)
    add("--validation-split", type=float, default=0.1)
    add(
        "--chief-timeout",
        type=options.positive_float,
        default=120,
        help="seconds after which a worker gives the chief up",
    )
    add(
        "--worker-timeout",
        type=options.positive_float,
        default=120,
        help="seconds after which the chief gives a worker up",
    )
    add("--output", type=options.folder, required=True, help="of the run")
    flags = parser.parse_args()
    if flags.validation_split == 0:
        parser.error("--validation-split: trials need validation images")
    return flags


def make_tuner(flags):
    info = keras_ff.datasets.info(flags.dataset)
    space = keras_tuner.HyperParameters()
    if flags.width_multiplier is not None:
        space.Fixed("width_multiplier", flags.width_multiplier)
    kinds = {
        "random": (RandomSearch, dict(max_trials=flags.trials)),
        "hyperband": (Hyperband, dict(max_epochs=flags.epochs)),
        "bayesian": (
            BayesianOptimization,
            dict(max_trials=flags.trials, num_initial_points=10),
        ),
    }
    kind, options = kinds[flags.tuner]
    return kind(
        keras_ff.tuners.ForwardOnlyHyperModel(
            info.input_shape,
            info.num_classes,
            architectures=flags.architectures,
            methods=flags.methods,
        ),
        objective="val_accuracy",
        hyperparameters=space,
        seed=flags.seed,
        directory=flags.output,
        project_name="search",
        chief_timeout=flags.chief_timeout,
        worker_timeout=flags.worker_timeout,
        **options,
    )


def main():
    flags = parse_arguments()
    config = {k: v for k, v in vars(flags).items() if k not in FREE}
    config["backend"] = keras.backend.backend()
    in_company = "KERASTUNER_ORACLE_IP" in os.environ
    worker = in_company and "chief" not in os.environ["KERASTUNER_TUNER_ID"]
    # The chief holds the folder for its workers.
    held = contextlib.nullcontext() if worker else folder.held(flags.output)
    with held:
        flags.output.mkdir(parents=True, exist_ok=True)
        folder.check_config(flags.output, config)
        search(flags, config, worker)


def search(flags, config, worker):
    keras.utils.set_random_seed(flags.seed)

    @functools.cache
    def data(batch_size):
        return keras_ff.datasets.load(
            flags.dataset,
            batch_size=batch_size,
            data_dir=flags.data_dir,
            validation_split=flags.validation_split,
            seed=flags.seed,
        )

    tuner = make_tuner(flags)
    if not worker:
        # Not before: flags that do not work shall not claim the folder.
        folder.write_json(flags.output / "config.json", config)
    # What a cluster sends before it kills.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        tuner.search(data, epochs=flags.epochs, verbose=2)
    except KeyboardInterrupt:
        raise SystemExit("Interrupted. The same command goes on.") from None
    finally:
        if not worker:
            report(tuner, config, flags.output)


def report(tuner, config, output):
    """Writes and prints what was found so far."""
    trials = list(tuner.oracle.trials.values())
    backend = keras.backend.backend()
    rows = [
        {
            "trial": trial.trial_id,
            "status": trial.status,
            "val_accuracy": trial.score,
            # From 1, as people count.
            "best_epoch": None if trial.score is None else trial.best_step + 1,
            "hyperparameters": {
                name: value
                for name, value in trial.hyperparameters.values.items()
                if not name.startswith("tuner/")
            },
            "error": (trial.message or "").strip().splitlines()[-1:],
        }
        for trial in trials
    ]
    rows.sort(key=lambda row: -(row["val_accuracy"] or 0))
    folder.write_json(
        output / "trials.json",
        {
            "config": config,
            "hardware": machine.hardware(),
            "versions": machine.versions(backend, packages=["keras_tuner"]),
            "trials": rows,
        },
    )
    print(table(rows))
    done = [row for row in rows if row["status"] == "COMPLETED"]
    if done:
        draw(done, output / "trials.png")


def table(rows):
    lines = [f"{'trial':>6}  {'val_accuracy':>12}  {'epoch':>5}  settings"]
    for row in rows:
        values = row["hyperparameters"].items()
        settings = ", ".join(
            f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}"
            for k, v in values
        )
        if row["status"] == "COMPLETED":
            result = f"{row['val_accuracy']:>12.2%}  {row['best_epoch']:>5}"
        else:
            result = f"{row['status']:>12}  {'':>5}"
        error = f"  {row['error'][0]}" if row["error"] else ""
        lines.append(f"{row['trial']:>6}  {result}  {settings}{error}")
    return "\n".join(lines)


def draw(rows, path):
    import matplotlib

    matplotlib.use("Agg")
    points = [row["hyperparameters"] for row in rows]
    # What never changes needs no column.
    names = dict.fromkeys(name for point in points for name in point)
    varied = [
        name
        for name in names
        if len(rows) == 1 or len({str(p.get(name)) for p in points}) > 1
    ]
    axes = keras_ff.visualization.parallel_coordinates(
        [{n: p[n] for n in varied if n in p} for p in points],
        [row["val_accuracy"] for row in rows],
    )
    folder.save_figure(axes.figure, path, dpi=120)


if __name__ == "__main__":
    main()
