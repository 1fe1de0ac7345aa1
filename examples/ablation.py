"""What carries a method's accuracy: one change at a time, several seeds.

    python examples/ablation.py hff --output runs/ablation_hff
    python examples/ablation.py caw --width-multiplier 0.2 --epochs 10 \\
        --output runs/ablation_caw
    python examples/ablation.py caw --architecture resnet17 --epochs 150 \\
        --width-multiplier 1 --dataset cifar10 --output runs/resnet17
    python examples/ablation.py whitened --dataset cifar10 --epochs 4 \\
        --width-multiplier 1 --output runs/ablation_whitened
    python examples/ablation.py caw --methods my_file.py:MyMethod \\
        --variants CAW-Conv my_method --output runs/mine

Every variant is trained alone on the same data, split and seeds. A finished
run is kept; the same command goes on after an interruption. Writes
`ablation.json`, `ablation.png` and a table.
"""

import argparse
import statistics

import keras

import keras_ff
from examples.common import folder
from examples.common import options
from examples.common.run import cosine
from examples.common.spread import mean_and_spread
from examples.common.study import run_all
from examples.studies import caw
from examples.studies import hff
from examples.studies import whitened

STUDIES = {"caw": caw, "hff": hff, "whitened": whitened}


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("study", choices=STUDIES)
    add("--dataset", choices=options.DATASETS, default="fashion_mnist")
    add("--data-dir", help="folder of prepared TFDS data")
    add(
        "--architecture",
        choices=("tiny_cnn", "vgg14", "resnet17"),
        default="tiny_cnn",
        help="of the study of CAW-Conv",
    )
    add("--variants", nargs="+", help="default: all")
    add(
        "--methods",
        nargs="+",
        metavar="FILE.py:NAME",
        default=[],
        help="methods, such as your own, that take part as further variants",
    )
    add("--seeds", nargs="+", type=options.seed, default=[0, 1, 2])
    add("--epochs", type=options.positive_int, default=6)
    add("--width-multiplier", type=options.positive_float, default=0.2)
    add("--output", type=options.folder, required=True)
    flags = parser.parse_args()
    known = list(variants(flags))
    flags.variants = flags.variants or known
    unknown = sorted(set(flags.variants) - set(known))
    if unknown:
        parser.error(f"unknown variants {unknown}; there are {known}")
    return flags


def variants(flags):
    """What differs from the study's recipe, by variant."""
    methods = map(keras_ff.methods.get, flags.methods)
    return {
        **STUDIES[flags.study].variants(),
        **{method.name: {"method": method} for method in methods},
    }


def train(variant, seed, flags):
    """Accuracy of one variant with one seed."""
    chosen, change = STUDIES[flags.study], variants(flags)[variant]
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    load = getattr(chosen, "load", _load)
    data, validation, test = load(change, flags, seed)
    info = keras_ff.datasets.info(flags.dataset)
    model = chosen.build(change, info, flags, flags.epochs * len(data))
    chosen.prepare(change, model, data)
    rates = []
    if chosen.LEARNING_RATES is not None:
        rate = cosine(*chosen.LEARNING_RATES, flags.epochs)
        rates = [keras.callbacks.LearningRateScheduler(rate)]
    history = model.fit(
        data,
        validation_data=validation,
        epochs=flags.epochs,
        # The data has an order of its own.
        shuffle=False,
        verbose=0,
        callbacks=rates,
    ).history
    result = model.evaluate(test, verbose=0, return_dict=True)
    return {
        "test_accuracy": result["accuracy"],
        "val_accuracy": history["val_accuracy"],
    }


def _load(change, flags, seed):
    return keras_ff.datasets.load(
        flags.dataset, data_dir=flags.data_dir, seed=seed
    )


def main():
    flags = parse_arguments()
    with folder.held(flags.output):
        results = study(flags)
        print(table(results))
        save_plot(results, flags.output / "ablation.png")


def study(flags):
    """All runs of the flags."""
    names = ["study", "dataset", "epochs", "width_multiplier"]
    if flags.study == "caw":
        names.append("architecture")
    return run_all(
        flags.output / "ablation.json",
        {name: getattr(flags, name) for name in names},
        flags.seeds,
        lambda seed, results: flags.variants,
        lambda variant, seed: train(variant, seed, flags),
    )


def accuracies(results, take):
    """By variant, a dict from seeds to percent."""
    return {
        variant: {seed: 100 * take(run) for seed, run in runs.items()}
        for variant, runs in results["runs"].items()
        if runs
    }


def table(results):
    """Mean and spread; differences are of runs with the same seed."""
    first = accuracies(results, lambda run: run["val_accuracy"][0])
    last = accuracies(results, lambda run: run["test_accuracy"])
    reference = next(iter(last))
    lines = [
        "Mean and standard deviation over seeds, in percent",
        f"{'variant':26}{'seeds':>5}{'test, last epoch':>20}"
        f"{'more than the first':>21}{'validation, epoch 1':>22}",
    ]
    for variant, values in last.items():
        more = [
            value - last[reference][seed]
            for seed, value in values.items()
            if variant != reference and seed in last[reference]
        ]
        lines.append(
            f"{variant:26}{len(values):5}"
            f"{mean_and_spread([*values.values()]):>20}"
            f"{mean_and_spread(more, sign='+') if more else '':>21}"
            f"{mean_and_spread([*first[variant].values()]):>22}"
        )
    return "\n".join(lines)


def save_plot(results, path):
    """Test accuracy of every seed, and the mean, by variant."""
    import matplotlib.figure

    values = accuracies(results, lambda run: run["test_accuracy"])
    figure = matplotlib.figure.Figure(
        figsize=(8, 0.35 * len(values) + 1.4), layout="constrained"
    )
    axes = figure.subplots()
    for row, by_seed in enumerate(values.values()):
        points = [*by_seed.values()]
        axes.plot(points, [row] * len(points), "o", color="#0072B2", alpha=0.5)
        axes.plot(
            statistics.mean(points), row, "|", color="black", markersize=16
        )
    axes.set_yticks(range(len(values)), list(values))
    axes.invert_yaxis()
    axes.set_xlabel(
        "test accuracy (%) after the last epoch: a point a seed, a bar the mean"
    )
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    folder.save_figure(figure, path)


if __name__ == "__main__":
    main()
