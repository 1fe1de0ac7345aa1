"""A paper's network, its recipe and an honest number, by one command.

    python examples/reproduce.py caw-resnet17-cifar10 --output runs/caw
    python examples/reproduce.py hff-whitened_cnn-cifar10 --minutes 30 \\
        --width-multiplier 0.5 --output runs/hff
    python examples/reproduce.py --list
    python examples/reproduce.py --report runs

`--devices 2` shares every batch between two devices or processes (with
`--epochs`); with PyTorch `torchrun` in the place of `python` does, too. The
same command resumes an interrupted run. `recipes.py` holds the recipes.
A method of your own brings its recipes along:

    python examples/reproduce.py mine-tiny_cnn-cifar10 \\
        --method my_methods.py:Mine --output runs/mine

`--minutes` asks for as many whole epochs as this machine trains and validates
in them: some steps are timed, and the learning rate falls over these epochs.
The result is that of the last epoch and of the epoch with the best validation
accuracy, never the best on the test data; `--mirror` tells besides what
averaging the scores of an image and its mirror image gives. The images wait
on the device, and are augmented and normalized there by the model's first
layers; a file `<data set>.npz` in `--data-dir` spares TensorFlow.
"""

import argparse
import json
import statistics

import keras

import keras_ff
from examples.common import data
from examples.common import options
from examples.common import processes
from examples.common.folder import save_figure
from examples.common.run import run
from examples.common.spread import mean_and_spread
from examples.recipes import PUBLISHED
from examples.recipes import RECIPES
from examples.recipes import recipes_of
from keras_ff import files
from keras_ff.datasets.catalog import SHIFT_AND_FLIP
from keras_ff.datasets.catalog import STREAMED


def main():
    processes.start()
    flags = parse_arguments()
    if flags.list:
        for name, recipe in flags.recipes.items():
            print(f"{name}  ({recipe['paper']})")
    elif flags.report:
        report(flags.report)
    else:
        processes.share(flags.devices)
        reproduce(flags)


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("recipe", nargs="?", help="see --list")
    add(
        "--method",
        metavar="FILE.py:NAME",
        help="a keras_ff.methods.Method of your own",
    )
    add("--list", action="store_true", help="print the recipes' names")
    add(
        "--report",
        type=options.existing_folder,
        help="folder of runs; tabulates and plots those that are finished",
    )
    add("--data-dir", help="folder of prepared TFDS data")
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        "--epochs", type=options.positive_int, help="other than the recipe's"
    )
    length.add_argument(
        "--minutes",
        type=options.positive_float,
        help="instead of epochs: how long to train, validation included",
    )
    add(
        "--width-multiplier",
        type=options.positive_float,
        default=1.0,
        help="of the recipe's widths",
    )
    add(
        "--seed",
        type=options.seed,
        default=0,
        help="of weights, split and order",
    )
    add("--dtype", choices=options.DTYPES, default="float32")
    processes.add_flag(parser)
    add(
        "--mirror",
        action="store_true",
        help="also test with scores averaged over mirror images",
    )
    add("--output", type=options.folder, help="of the run")
    flags = parser.parse_args()
    flags.recipes = RECIPES
    if flags.method:
        try:
            flags.recipes = recipes_of(flags.method)
        except (ValueError, TypeError) as error:
            parser.error(f"argument --method: {error}")
    if not flags.list and not flags.report:
        if flags.recipe is None:
            parser.error("a recipe is needed; --list prints their names")
        if flags.recipe not in flags.recipes:
            parser.error(
                f"unknown recipe {flags.recipe!r}; the recipes are "
                + ", ".join(flags.recipes)
            )
        if flags.output is None:
            parser.error("--output is needed")
        dataset = flags.recipes[flags.recipe]["dataset"]
        if flags.mirror and not mirrors(dataset):
            parser.error(
                f"argument --mirror: a mirrored image of {dataset} may be of "
                "another class"
            )
    return flags


def mirrors(dataset):
    """Whether mirror images keep their class."""
    return dataset in STREAMED or SHIFT_AND_FLIP[dataset][1]


def reproduce(flags):
    train(
        flags.recipe,
        flags.recipes[flags.recipe],
        flags.output,
        epochs=flags.epochs,
        minutes=flags.minutes,
        data_dir=flags.data_dir,
        width_multiplier=flags.width_multiplier,
        seed=flags.seed,
        dtype=flags.dtype,
        mirror=flags.mirror,
    )


def data_flags(settings, **flags):
    """The flags that `load` needs to know, by a recipe's settings.

    Args:
        settings: dict, see `settings`.
        **flags: the others, `data_dir` and `seed` among them.
    """
    of_recipe = ("dataset", "batch_size", "validation_split", "augment")
    return argparse.Namespace(
        settings=settings,
        **{name: settings[name] for name in of_recipe},
        **flags,
    )


def train(
    name, recipe, output, epochs=None, minutes=None, load_data=None, **flags
):
    """Trains a recipe, or goes on with it; see `examples.common.run`.

    Args:
        name: string.
        recipe: dict.
        output: path of the folder of the run.
        epochs, minutes: the length, the recipe's by default.
        load_data: function `flags -> Splits` of batches; `load` by default.
        **flags: the other flags of this script (`data_dir`,
            `width_multiplier`, `seed`, `dtype`, `mirror`), and what else
            `load_data` needs to know.

    Returns:
        The content of `metrics.json`.
    """
    recipe = settings(recipe)
    length = {"epochs": epochs or recipe["epochs"]}
    if minutes is not None:
        length = {"minutes": minutes}
    flags = data_flags(recipe, recipe=name, output=output, **length, **flags)
    learning_rate, final_learning_rate = recipe["learning_rate"]
    return run(
        name,
        flags,
        lambda info, train, epochs: build(
            recipe, info, flags.width_multiplier, epochs * len(train)
        ),
        learning_rate,
        # What changes step by step is left alone between the epochs.
        final_learning_rate if recipe["schedule"] == "cosine" else None,
        load=load_data or load,
        prepare=prepare,
    )


def prepare(model, train):
    """Adapts the whitening of a model that has one, to training images."""
    whitening = keras_ff.layers.Whitening2D
    if any(isinstance(layer, whitening) for layer in model.layers):
        keras_ff.models.adapt_whitening(model, train)


def settings(recipe):
    """The recipe, with all that it leaves to its method."""
    method = keras_ff.methods.get(recipe["method"])
    own = method.settings()
    recipe = {"schedule": "cosine", **own, **recipe}
    for name in ("contribution", "layer_clipnorm"):
        if name not in method.model_options:
            recipe[name] = own[name]
    return recipe


def load(flags):
    """Batches of pixels, all of them on the device if they fit."""
    if flags.dataset in STREAMED:
        return data.pipelines(flags)
    splits = keras_ff.datasets.load_arrays(
        flags.dataset,
        flags.data_dir,
        flags.validation_split,
        flags.seed,
        raw=True,
    )
    train, *others = keras.tree.map_structure(
        keras.ops.convert_to_tensor, splits
    )
    batches = keras_ff.datasets.ArrayBatches
    return keras_ff.datasets.Splits(
        training_batches(flags.settings, train, flags.batch_size, flags.seed),
        *(batches(split, flags.batch_size) for split in others),
    )


def training_batches(recipe, train, batch_size, seed):
    """Batches of arrays, augmented here if the network does not do it."""
    options = dict(batch_size=batch_size, seed=seed, drop_remainder=True)
    if "mirrored_shift" not in recipe:
        return keras_ff.datasets.ArrayBatches(train, **options)
    shift, flip = SHIFT_AND_FLIP[recipe["dataset"]]
    return keras_ff.datasets.AugmentedBatches(
        train, shift=min(shift, recipe["mirrored_shift"]), flip=flip, **options
    )


def build(recipe, info, width_multiplier, steps=1):
    """The recipe's network, compiled; it takes what `load` gives.

    Args:
        recipe: dict.
        info: as `keras_ff.datasets.info` gives it.
        width_multiplier: float, of the recipe's widths.
        steps: int, of the whole training, if the recipe's learning rate
            changes with each.
    """
    architecture_options = recipe.get("architecture_options", {})
    augmented = "mirrored_shift" in recipe
    # Whitening takes pixels as they are.
    whitened = augmented and architecture_options.get("whitening", True)
    preprocessing = []
    if recipe["dataset"] not in STREAMED and not whitened:
        # As published, ResNet-17 sees the MNISTs enlarged.
        preprocessing = keras_ff.datasets.preprocessing(
            recipe["dataset"],
            recipe["augment"] and not augmented,
            data.image_size(recipe["architecture"], recipe["dataset"]),
        )
    method = keras_ff.methods.get(recipe["method"])
    logged = "layer_metrics" in method.model_options
    model = getattr(keras_ff.applications, recipe["architecture"])(
        info.input_shape,
        info.num_classes,
        method=method,
        width_multiplier=width_multiplier * recipe.get("width", 1.0),
        dropout=recipe.get("dropout"),
        preprocessing=preprocessing,
        model_options={"layer_metrics": True} if logged else {},
        layer_options=recipe.get("layer_options"),
        **architecture_options,
    )
    model.compile(
        optimizer=_optimizer(recipe, method, steps),
        loss=_loss(recipe, method),
        metrics=["accuracy"],
    )
    return model


def _optimizer(recipe, method, steps):
    rate, _ = recipe.get("learning_rate", method.learning_rate)
    if recipe.get("schedule") == "triangular":
        rate = keras_ff.optimizers.Triangular(rate, steps)
    given = _other(recipe, method, "optimizer")
    if given is None:
        return method.optimizer(rate, recipe.get("weight_decay"))
    name = given["class_name"]
    ours = getattr(keras_ff.optimizers, name, None)
    make = ours or getattr(keras.optimizers, name)
    return make(rate, **given["config"])


def _loss(recipe, method):
    given = _other(recipe, method, "loss")
    if given is None:
        return method.loss()
    return getattr(keras_ff.losses, given["class_name"])(**given["config"])


def _other(recipe, method, name):
    """What a recipe says if it is not what its method says, or `None`."""
    own = method.settings()[name]
    given = recipe.get(name, own)
    return None if given == own else given


def report(folder):
    """Writes a table and a plot of all finished runs below a folder."""
    runs, seen = {}, {}
    for path in sorted(folder.rglob("metrics.json")):
        try:
            metrics = json.loads(path.read_text())
            config = metrics["config"]
            key = (
                config["recipe"],
                config["width_multiplier"],
                length(config),
                config["dtype"],
                config["backend"],
            )
            seed = config["seed"]
        except (ValueError, KeyError, TypeError):
            print(f"Left out, as it is no recipe's result: {path}")
            continue
        if (key, seed) in seen:
            print(f"Left out, the same run as {seen[key, seed]}: {path}")
            continue
        seen[key, seed] = path
        runs.setdefault(key, []).append(metrics)
    if not runs:
        raise SystemExit(f"No finished run of a recipe below {folder}.")
    # What was trained on the same data stands together.
    runs = dict(
        sorted(
            runs.items(),
            key=lambda run: (run[0][0].split("-")[-1], *map(str, run[0])),
        )
    )
    text = table(runs)
    files.write_whole(folder / "report.md", text)
    print(text)
    save_plot(runs, folder / "report.png")
    print(f"Wrote {folder / 'report.md'} and {folder / 'report.png'}")


def length(config):
    """What a run was asked for: a number of epochs, or minutes."""
    if "epochs" in config:
        return config["epochs"]
    return f"{config['minutes']:g} minutes"


def accuracies(runs, key):
    """Percent, one number a seed."""
    return [100 * metrics[f"test_accuracy_{key}"] for metrics in runs]


def table(runs):
    head = ["recipe", "width", "epochs", "seeds", "last epoch"]
    head += ["validation-selected", "published", "minutes a run", "hardware"]
    # Never mixed into the plain figures.
    mirror = any("mirrored" in run for group in runs.values() for run in group)
    head += ["last epoch, averaged with the mirrored image"] * mirror
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for (recipe, width, length, dtype, backend), group in runs.items():
        epochs = sorted({run["epochs"] for run in group if "epochs" in run})
        if isinstance(length, str):
            length += f" ({' or '.join(map(str, epochs))} epochs)"
        cells = [recipe, f"{width:g}", length, len(group)]
        for key in ("last_epoch", "validation_selected"):
            cells.append(mean_and_spread(accuracies(group, key)))
        minutes = statistics.mean(run["seconds"] for run in group) / 60
        hardware = {
            run["hardware"]["accelerator"] or run["hardware"]["processor"]
            for run in group
        }
        cells.append(PUBLISHED.get(recipe, "-"))
        cells.append(f"{minutes:.1f}")
        cells.append(", ".join([*sorted(hardware), backend, dtype]))
        if mirror:
            averaged = [run["mirrored"] for run in group if "mirrored" in run]
            cells.append(mean_and_spread(accuracies(averaged, "last_epoch")))
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    lines += [
        "",
        "Test accuracy in percent, mean and standard deviation over seeds. "
        "Published figures are the papers', at width 1.",
    ]
    return "\n".join(lines) + "\n"


def save_plot(runs, path):
    """Test accuracy after the last epoch, a point a seed."""
    import matplotlib.figure

    figure = matplotlib.figure.Figure(
        figsize=(8, 0.4 * len(runs) + 1.6), layout="constrained"
    )
    axes = figure.subplots()
    labels = []
    for row, ((recipe, width, length, *_), group) in enumerate(runs.items()):
        points = accuracies(group, "last_epoch")
        if not isinstance(length, str):
            length = f"{length} epochs"
        labels.append(f"{recipe}, width {width:g}, {length}")
        axes.plot(
            points,
            [row] * len(points),
            "o",
            color="#0072B2",
            alpha=0.6,
            label="a seed" if row == 0 else None,
        )
        if recipe in PUBLISHED:
            axes.plot(
                PUBLISHED[recipe],
                row,
                "D",
                color="#D55E00",
                fillstyle="none",
                label="published, width 1",
            )
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.set_xlabel("test accuracy (%) after the last epoch")
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    handles = dict(zip(*axes.get_legend_handles_labels()[::-1]))
    axes.legend(handles.values(), handles.keys(), loc="best")
    save_figure(figure, path)


if __name__ == "__main__":
    main()
