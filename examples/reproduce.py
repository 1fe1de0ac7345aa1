"""A paper's network, its recipe and an honest number, by one command.

    python examples/reproduce.py caw-resnet17-cifar10 --output runs/caw
    python examples/reproduce.py --list
    python examples/reproduce.py --report runs

The same command resumes an interrupted run. `recipes.py` holds the recipes.
The result is that of the last epoch and of the epoch with the best validation
accuracy, never the best on the test data.
"""

import argparse
import json
import pathlib

import common
import keras
from recipes import PUBLISHED
from recipes import RECIPES

import keras_ff


def main():
    flags = parse_arguments()
    if flags.list:
        for name, recipe in RECIPES.items():
            print(f"{name}  ({recipe['paper']})")
    elif flags.report:
        report(flags.report)
    else:
        reproduce(flags)


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("recipe", nargs="?", help="see --list")
    add("--list", action="store_true", help="print the recipes' names")
    add("--report", type=pathlib.Path, help="folder of finished runs")
    add("--data-dir", help="folder of prepared TFDS data")
    add("--epochs", type=common.positive_int, help="other than the recipe's")
    add(
        "--width-multiplier",
        type=common.positive_float,
        default=1.0,
        help="of the recipe's widths",
    )
    add("--seed", type=int, default=0, help="of weights, split and order")
    add("--dtype", choices=common.DTYPES, default="float32")
    add("--output", type=pathlib.Path, help="folder of the run")
    flags = parser.parse_args()
    if not flags.list and not flags.report:
        if flags.recipe not in RECIPES:
            parser.error(
                f"unknown recipe {flags.recipe!r}; --list names those there are"
            )
        if flags.output is None:
            parser.error("--output is needed")
    return flags


def reproduce(flags):
    recipe = RECIPES[flags.recipe]
    flags = argparse.Namespace(
        recipe=flags.recipe,
        dataset=recipe["dataset"],
        data_dir=flags.data_dir,
        epochs=flags.epochs or recipe["epochs"],
        batch_size=recipe["batch_size"],
        width_multiplier=flags.width_multiplier,
        seed=flags.seed,
        validation_split=recipe["validation_split"],
        augment=recipe["augment"],
        dtype=flags.dtype,
        output=flags.output,
    )
    grey = flags.dataset in ("mnist", "fashion_mnist")
    resnet = recipe["architecture"] == "resnet17"
    image_size = 32 if resnet and grey else None
    learning_rate, final_learning_rate = recipe["learning_rate"]
    common.run(
        flags.recipe,
        flags,
        lambda info: build(recipe, info, flags.width_multiplier, image_size),
        learning_rate,
        final_learning_rate,
        image_size,
    )


def build(recipe, info, width_multiplier, image_size=None):
    """The recipe's network, compiled."""
    height, width, channels = info.input_shape
    local = recipe["method"] != "backprop"
    options = {}
    if local:
        options = dict(
            contribution=common.CONTRIBUTIONS[recipe["contribution"]](),
            layer_clipnorm=recipe["layer_clipnorm"],
            layer_metrics=True,
        )
    model = getattr(keras_ff.applications, recipe["architecture"])(
        (image_size or height, image_size or width, channels),
        info.num_classes,
        method=recipe["method"],
        width_multiplier=width_multiplier * recipe.get("width", 1.0),
        dropout=recipe["dropout"],
        model_options=options,
        layer_options=recipe["layer_options"],
    )
    if recipe["loss"] == "margin":
        loss = keras_ff.losses.SmoothMarginLoss(
            recipe["margin"], recipe["scale"]
        )
    else:
        loss = keras_ff.losses.LocalCrossentropy(recipe["label_smoothing"])
    if recipe["optimizer"] == "adamw":
        optimizer = keras.optimizers.AdamW(weight_decay=recipe["weight_decay"])
    else:
        optimizer = keras.optimizers.Adam()
    model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"])
    return model


def report(folder):
    """Prints a table of all finished runs below a folder."""
    rows = []
    for path in sorted(folder.rglob("metrics.json")):
        metrics = json.loads(path.read_text())
        config = metrics["config"]
        if "recipe" in config:
            rows.append((config, metrics))
    if not rows:
        raise SystemExit(f"No finished run of a recipe below {folder}.")
    print(
        "| recipe | width | epochs | seed | last epoch | validation-selected "
        "| published | minutes | backend |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for config, metrics in rows:
        last = 100 * metrics["test_accuracy_last_epoch"]
        selected = 100 * metrics["test_accuracy_validation_selected"]
        published = PUBLISHED.get(config["recipe"], "-")
        print(
            f"| {config['recipe']} | {config['width_multiplier']:g} "
            f"| {config['epochs']} | {config['seed']} | {last:.2f} "
            f"| {selected:.2f} | {published} | {metrics['seconds'] / 60:.1f} "
            f"| {config['backend']} |"
        )


if __name__ == "__main__":
    main()
