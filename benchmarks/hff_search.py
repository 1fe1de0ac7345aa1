"""Searches what the HFF paper does not publish, with KerasTuner.

    python -m benchmarks.hff_search --data-dir DIR --output runs/hff_search

A small dense network on Fashion-MNIST, a few epochs a trial; the same command
goes on after an interruption. The table is ordered by validation accuracy;
test data is not touched.
"""

import argparse
import json
import os
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import keras_tuner

import keras_ff
from benchmarks.measure import machine


def parse_arguments():
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.hff_search",
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--dataset", default="fashion_mnist")
    add("--data-dir")
    add("--trials", type=int, default=30)
    add("--epochs", type=int, default=3)
    add("--units", nargs="+", type=int, default=[500, 500])
    add("--seed", type=int, default=0)
    add("--output", type=Path, required=True)
    return parser.parse_args()


def build(hp, info, units):
    """The network of a point of the search space, compiled."""
    prototypes = hp.Choice("prototypes_per_class", [1, 2, 4, 8])
    beta = 10.0
    if prototypes > 1:
        with hp.conditional_scope("prototypes_per_class", [2, 4, 8]):
            beta = hp.Float("beta", 2.0, 50.0, sampling="log")
    # 0: the activation itself is compared with the prototypes.
    embedding_size = hp.Choice("embedding_size", [0, 32, 128, 512])
    dropout = hp.Float("dropout", 0.0, 0.4, step=0.1)
    normalization = hp.Choice("normalization", ["layer", "rms"])
    model = keras_ff.models.ForwardOnlyModel(
        [
            keras.Input(info.input_shape),
            keras.layers.Flatten(),
            *[
                keras_ff.layers.PrototypeDense(
                    width,
                    info.num_classes,
                    prototypes_per_class=prototypes,
                    beta=beta,
                    embedding_size=embedding_size or None,
                    dropout=dropout,
                    normalization=normalization,
                )
                for width in units
            ],
        ]
    )
    model.compile(
        optimizer=keras.optimizers.AdamW(
            hp.Float("learning_rate", 3e-4, 3e-3, sampling="log"),
            weight_decay=1e-3,
        ),
        loss=keras_ff.losses.SmoothMarginLoss(
            hp.Float("margin", 0.0, 0.5, step=0.05),
            hp.Float("scale", 4.0, 64.0, sampling="log"),
        ),
    )
    return model


def main():
    flags = parse_arguments()
    info = keras_ff.datasets.info(flags.dataset)
    train, validation, _ = keras_ff.datasets.load(
        flags.dataset, data_dir=flags.data_dir, seed=flags.seed
    )
    tuner = keras_tuner.BayesianOptimization(
        lambda hp: build(hp, info, flags.units),
        objective=keras_tuner.Objective("val_accuracy", "max"),
        max_trials=flags.trials,
        seed=flags.seed,
        directory=flags.output,
        project_name="trials",
    )
    tuner.search(
        train, validation_data=validation, epochs=flags.epochs, verbose=2
    )
    trials = sorted(
        (t for t in tuner.oracle.trials.values() if t.score is not None),
        key=lambda trial: -trial.score,
    )
    rows = [
        {"val_accuracy": trial.score, **trial.hyperparameters.values}
        for trial in trials
    ]
    settings = {**vars(flags), "backend": keras.backend.backend()}
    del settings["output"], settings["data_dir"]
    result = {
        "settings": settings,
        "machine": machine.describe(),
        "trials": rows,
    }
    (flags.output / "hff_search.json").write_text(json.dumps(result, indent=2))
    for row in rows:
        print(
            f"{row['val_accuracy']:.4f}  "
            + "  ".join(
                f"{k}={v:.3g}" if isinstance(v, float) else f"{k}={v}"
                for k, v in row.items()
                if k != "val_accuracy"
            )
        )


if __name__ == "__main__":
    main()
