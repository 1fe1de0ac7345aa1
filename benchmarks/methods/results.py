"""What came out: a summary, read again from its file, and as a table."""

import statistics

from examples import recipes
from examples.common import folder
from examples.common.spread import mean_and_spread
from keras_ff.datasets.catalog import SHIFT_AND_FLIP

NAME = "methods.json"


def read(path):
    """The summary that `python -m benchmarks.methods` wrote.

    Args:
        path: path of `methods.json`, or of its folder.

    Returns:
        Dict: `settings`, what all rows share; `rows`, a list of dicts, the
        best first; `left_out`, reasons by method. A row has `method`,
        `paper`, `learning_rate` (the chosen one), `tuning` (validation
        accuracy by factor), `epochs`, `minutes` (lists, one a seed: those
        of training at `images_per_second`),
        `test_accuracy_last_epoch`, `test_accuracy_validation_selected`
        (lists), `val_accuracy` (a list an epoch, of each seed),
        `images_per_second` (of training steps, timed in turn with the other
        methods'; `None` until all are trained), `minutes_taken` (lists, with
        validation and whatever else the machine did), `peak_memory`,
        `parameters`, `hardware` and `versions`.
    """
    if path.is_dir():
        path = path / NAME
    return folder.read_json(path, ["settings", "rows", "left_out"])


def summary(board, settings, rates=None):
    """The content of `methods.json`, of the runs that are finished.

    Args:
        board: a `Board`.
        settings: dict, what all runs share.
        rates: what `Board.rates` found.
    """
    rows = []
    for method in board.methods:
        runs = [
            result
            for run in board.final()
            if run.method == method and (result := board.result(run))
        ]
        if runs:
            rows.append(_row(board.validated(method), runs, rates))
    rows.sort(key=lambda row: -_mean(row["test_accuracy_last_epoch"]))
    settings = {**settings, "factors": board.flags.factors}
    return {"settings": settings, "rows": rows, "left_out": board.left_out}


def _row(tuning, runs, rates):
    first = runs[0]
    rate = rates and rates["images_per_second"].get(first["method"])

    def every(take):
        return [take(run) for run in runs]

    return {
        "method": first["method"],
        "paper": first["config"]["settings"]["paper"],
        "learning_rate": first["config"]["settings"]["learning_rate"][0],
        "factor": first["factor"],
        "tuning": {f"{factor:g}": value for factor, value in tuning.items()},
        "seeds": every(lambda run: run["seed"]),
        "epochs": every(lambda run: run["epochs"]),
        "images_per_second": rate,
        "minutes": rate
        and every(lambda run: run["epochs"] * rates["images"] / rate / 60),
        "minutes_taken": every(lambda run: run["minutes"]["taken"]),
        **{
            key: every(lambda run, key=key: run[key])
            for key in (
                "test_accuracy_last_epoch",
                "test_accuracy_validation_selected",
            )
        },
        "val_accuracy": every(lambda run: run["history"]["val_accuracy"]),
        "peak_memory": first.get("peak_memory"),
        "parameters": first["parameters"],
        "hardware": first["hardware"],
        "versions": first["versions"],
    }


def _mean(values):
    return statistics.mean(values)


def table(found):
    """The summary in Markdown."""
    head = ["method", "last epoch", "validation-selected", "seeds", "epochs"]
    head += ["minutes", "images/s", "memory of a step", "weights"]
    head += ["learning rate"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for row in found["rows"]:
        memory = (row["peak_memory"] or {}).get("bytes")
        cells = [
            f"{row['method']} ({row['paper']})",
            _percent(row["test_accuracy_last_epoch"]),
            _percent(row["test_accuracy_validation_selected"]),
            len(row["seeds"]),
            " or ".join(map(str, sorted(set(row["epochs"])))),
            f"{_mean(row['minutes']):.1f}" if row["minutes"] else "-",
            f"{row['images_per_second']:.0f}" if row["minutes"] else "-",
            f"{memory / 2**20:.0f} MiB" if memory else "-",
            f"{row['parameters']:,}",
            f"{row['learning_rate']:g}",
        ]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    lines += ["", _conditions(found), ""]
    lines += [
        f"- Left out: {method}, {reason}."
        for method, reason in found["left_out"].items()
    ]
    return "\n".join(lines) + "\n"


def _percent(values):
    return mean_and_spread([100 * value for value in values])


def _conditions(found):
    settings = found["settings"]
    length = f"{settings['epochs']} epochs"
    if settings["minutes"] is not None:
        length = f"the whole epochs that fit into {settings['minutes']:g} min"
    shared = recipes.DIFFERENT["whitened_cnn"]
    shift, flip = SHIFT_AND_FLIP[settings["dataset"]]
    augmentation = f"shifts by up to {min(shift, shared['mirrored_shift'])}"
    augmentation += " pixels and mirror images" if flip else " pixels"
    machines = {
        f"{row['hardware']['accelerator'] or row['hardware']['processor']}, "
        f"{row['hardware']['cores']} cores, "
        + ", ".join(f"{k} {v}" for k, v in row["versions"].items())
        for row in found["rows"]
    }
    images = "all training images"
    if settings["samples"]:
        images = f"the first {settings['samples']} training images"
    return (
        f"Test accuracy on {settings['dataset']} in percent, mean and standard "
        "deviation over seeds; test data was looked at once, after the last "
        f"epoch. Every method: whitened_cnn at {settings['width_multiplier']:g}"
        f" times its width, {images}, of which the last "
        f"{settings['validation']} validate, {augmentation}, batches of "
        f"{shared['batch_size']}, {length}. The "
        "learning rate is that of the best validation accuracy of seed 0 "
        f"among {len(settings['factors'])} factors "
        f"({', '.join(f'{f:g}' for f in settings['factors'])}) of "
        f"{shared['learning_rate'][0]:g}, in trainings of "
        f"{settings['tuning']:g} times the length. Images/s are those of "
        "training steps, timed in turn with the other methods'; minutes are "
        f"those of training at that rate. {settings['backend']}, "
        f"{settings['dtype']}; {'; '.join(sorted(machines))}."
    )
