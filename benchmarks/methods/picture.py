"""Accuracy against minutes."""

import statistics
from itertools import cycle

from examples.common.folder import save_figure

# Okabe and Ito's colors, told apart with any color vision; markers too.
COLORS = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7"),
    *("#E69F00", "#56B4E9", "#000000", "#8A6D00"),
)
MARKERS = "os^Dv*PX"


def save(found, path):
    """Draws the rows of a summary into a PNG file."""
    import matplotlib.figure

    figure = matplotlib.figure.Figure(figsize=(9, 5.5), layout="constrained")
    axes = figure.subplots()
    styles = cycle(zip(COLORS, MARKERS))
    for row, (color, marker) in zip(found["rows"], styles):
        total = statistics.mean(row["minutes"] or row["minutes_taken"])
        epochs = min(map(len, row["val_accuracy"]))
        minutes = [total * (i + 1) / epochs for i in range(epochs)]
        percent = [[100 * a for a in run] for run in row["val_accuracy"]]
        axes.plot(minutes, _mean_by_epoch(percent), color=color, linewidth=1)
        axes.fill_between(
            minutes,
            *([f(values) for values in zip(*percent)] for f in (min, max)),
            color=color,
            alpha=0.15,
            linewidth=0,
        )
        tested = [100 * a for a in row["test_accuracy_last_epoch"]]
        axes.errorbar(
            total,
            statistics.mean(tested),
            yerr=statistics.stdev(tested) if tested[1:] else None,
            color=color,
            marker=marker,
            markersize=8,
            capsize=3,
            linestyle="none",
            label=row["method"].replace("_", " "),
        )
    axes.set_xlim(left=0)
    in_turn = all(row["minutes"] for row in found["rows"])
    axes.set_xlabel(
        "minutes of training, by steps timed in turn"
        if in_turn
        else "minutes of training and validation"
    )
    axes.set_ylabel("accuracy (%)")
    axes.set_title(
        "Marks: test accuracy after the last epoch, mean and deviation of "
        "seeds.\nLines: validation accuracy on the way (the learning rate "
        "falls until the end)",
        fontsize=10,
        loc="left",
    )
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower right")
    save_figure(figure, path)


def _mean_by_epoch(runs):
    return [statistics.mean(values) for values in zip(*runs)]
