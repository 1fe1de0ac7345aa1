"""What of HFF carries its accuracy: one change at a time, several seeds.

    python -m benchmarks.hff_ablation --data-dir DIR --output runs/hff_ablation

Every finished run is kept; the same command goes on after an interruption.
"""

import argparse
import json
import os
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
from keras import ops

import keras_ff
from benchmarks import machine


@keras.saving.register_keras_serializable(package="benchmarks")
class ProxyAnchorLoss(keras.losses.Loss):
    """Proxy-Anchor (Kim et al., 2020), a loss of whole batches."""

    def __init__(self, alpha=32.0, delta=0.1, **kwargs):
        super().__init__(**kwargs)
        self.alpha = alpha
        self.delta = delta

    def call(self, y_true, y_pred):
        k = y_pred.shape[-1]
        right = ops.one_hot(ops.cast(ops.reshape(y_true, (-1,)), "int32"), k)
        present = ops.cast(ops.sum(right, axis=0) > 0, "float32")

        def log_sum(mask, exponent):
            return ops.log1p(ops.sum(mask * ops.exp(exponent), axis=0))

        pull = log_sum(right, -self.alpha * (y_pred - self.delta))
        push = log_sum(1 - right, self.alpha * (y_pred + self.delta))
        loss = ops.sum(present * pull) / ops.sum(present) + ops.mean(push)
        # One number a sample, as Keras expects; their mean is the loss.
        return loss * ops.ones_like(y_pred[:, 0])


MARGIN, SCALE, EMBEDDING = 0.25, 8.0, 512
# Layer arguments, loss, whether prototypes start at the class means.
VARIANTS = {
    "base": ({}, "margin", False),
    "2 prototypes": ({"prototypes_per_class": 2}, "margin", False),
    "4 prototypes": ({"prototypes_per_class": 4}, "margin", False),
    "no embedding": ({"embedding_size": None}, "margin", False),
    "margin 0": ({}, "no margin", False),
    "proxy anchor": ({}, "proxy anchor", False),
    "start at class means": ({}, "margin", True),
    "fixed, random": ({"learnable_prototypes": False}, "margin", False),
    "fixed, orthogonal": (
        {"learnable_prototypes": False, "prototype_initializer": "orthogonal"},
        "margin",
        False,
    ),
    "fixed, separated": (
        {"learnable_prototypes": False, "prototype_initializer": "separated"},
        "margin",
        False,
    ),
    "plain projection": (None, "crossentropy", False),
}
LOSSES = {
    "margin": lambda: keras_ff.losses.SmoothMarginLoss(MARGIN, SCALE),
    "no margin": lambda: keras_ff.losses.SmoothMarginLoss(0.0, SCALE),
    "proxy anchor": ProxyAnchorLoss,
    "crossentropy": keras_ff.losses.LocalCrossentropy,
}


def parse_arguments():
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.hff_ablation",
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--dataset", default="fashion_mnist")
    add("--data-dir")
    add("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    add("--seeds", nargs="+", type=int, default=[0, 1, 2])
    add("--epochs", type=int, default=6)
    add("--units", nargs="+", type=int, default=[500, 500])
    add("--output", type=Path, required=True)
    return parser.parse_args()


def build(variant, info, units):
    layer_arguments, loss, _ = VARIANTS[variant]

    def layer(width):
        if layer_arguments is None:
            return keras_ff.layers.LocalBlock(
                [
                    keras.layers.Dense(
                        width, "relu", kernel_initializer="he_normal"
                    ),
                    keras.layers.Dropout(0.1),
                ],
                keras_ff.layers.GoodnessProjection(info.num_classes),
                normalization="rms",
            )
        arguments = {"embedding_size": EMBEDDING, **layer_arguments}
        if arguments.get("prototype_initializer") == "separated":
            arguments["prototype_initializer"] = (
                keras_ff.initializers.MaximallySeparated()
            )
        return keras_ff.layers.PrototypeDense(
            width, info.num_classes, dropout=0.1, **arguments
        )

    model = keras_ff.models.ForwardOnlyModel(
        [
            keras.Input(info.input_shape),
            keras.layers.Flatten(),
            *[layer(width) for width in units],
        ]
    )
    model.compile(
        optimizer=keras.optimizers.AdamW(weight_decay=1e-3),
        loss=LOSSES[loss](),
    )
    return model


def train(variant, seed, flags):
    """Test accuracy after the last epoch, and what else is worth knowing."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    info = keras_ff.datasets.info(flags.dataset)
    data, validation, test = keras_ff.datasets.load(
        flags.dataset, data_dir=flags.data_dir, seed=seed
    )
    model = build(variant, info, flags.units)
    if VARIANTS[variant][2]:
        images, labels = next(iter(data.take(16).unbatch().batch(2048)))
        keras_ff.models.adapt_prototypes(model, images.numpy(), labels.numpy())
    schedule = keras.optimizers.schedules.CosineDecay(1e-3, flags.epochs)
    history = model.fit(
        data,
        validation_data=validation,
        epochs=flags.epochs,
        verbose=0,
        callbacks=[
            keras.callbacks.LearningRateScheduler(lambda e: float(schedule(e)))
        ],
    ).history
    return {
        "test_accuracy": model.evaluate(test, verbose=0, return_dict=True)[
            "accuracy"
        ],
        "val_accuracy": history["val_accuracy"],
        "first_epoch_val_accuracy": history["val_accuracy"][0],
    }


def main():
    flags = parse_arguments()
    flags.output.mkdir(parents=True, exist_ok=True)
    path = flags.output / "hff_ablation.json"
    settings = {
        name: getattr(flags, name) for name in ("dataset", "epochs", "units")
    }
    settings |= {
        "margin": MARGIN,
        "scale": SCALE,
        "embedding_size": EMBEDDING,
        "backend": keras.backend.backend(),
    }
    results = {"settings": settings, "runs": {}}
    if path.exists():
        results = json.loads(path.read_text())
        if results["settings"] != settings:
            raise SystemExit(
                f"{path} holds runs of other settings: {results['settings']}. "
                f"Given: {settings}. Give another --output."
            )
    results["machine"] = machine.describe()
    for seed in flags.seeds:
        for variant in flags.variants:
            runs = results["runs"].setdefault(variant, {})
            if str(seed) not in runs:
                runs[str(seed)] = train(variant, seed, flags)
                part = path.with_suffix(".part")
                part.write_text(json.dumps(results, indent=2))
                part.replace(path)
                print(variant, seed, runs[str(seed)]["test_accuracy"])
    print(table(results))
    save_plot(results, flags.output / "hff_ablation.png")


def _accuracies(results, key):
    return {
        variant: np.array([100 * run[key] for run in runs.values()])
        for variant, runs in results["runs"].items()
    }


def table(results):
    first = _accuracies(results, "first_epoch_val_accuracy")
    lines = [
        f"{'variant':22}{'seeds':>6}{'test accuracy':>18}"
        f"{'val after 1 epoch':>20}"
    ]
    for variant, values in _accuracies(results, "test_accuracy").items():
        lines.append(
            f"{variant:22}{len(values):6}"
            f"{values.mean():11.2f} ± {values.std():.2f}"
            f"{first[variant].mean():14.2f} ± {first[variant].std():.2f}"
        )
    return "\n".join(lines)


def save_plot(results, path):
    """Test accuracy of every seed, and the mean, by variant."""
    import matplotlib.figure

    accuracies = _accuracies(results, "test_accuracy")
    figure = matplotlib.figure.Figure(
        figsize=(8, 0.45 * len(accuracies) + 1.2), layout="constrained"
    )
    axes = figure.subplots()
    for row, values in enumerate(accuracies.values()):
        axes.plot(values, [row] * len(values), "o", color="#0072B2", alpha=0.5)
        axes.plot(values.mean(), row, "|", color="black", markersize=16)
    axes.set_yticks(range(len(accuracies)), list(accuracies))
    axes.invert_yaxis()
    axes.set_xlabel(
        "test accuracy (%) after the last epoch; a point a seed, a bar the mean"
    )
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
