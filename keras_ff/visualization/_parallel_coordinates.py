import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_ff.type_aliases import Config
from keras_ff.visualization import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

UNUSED = -0.16


def parallel_coordinates(
    points: Sequence[Config],
    scores: Sequence[float],
    score_name: str = "validation accuracy",
    ax: "Axes | None" = None,
) -> "Axes":
    """Draws the trials of a search, a line each across its hyperparameters.

    A column is a hyperparameter with its own scale from bottom to top
    (logarithmic where positive numbers span a factor of 8 or more); the last
    column is the score, the color its rank, from dark (worst) to light. A
    hyperparameter that a trial does not have is drawn below the columns.
    Better trials lie on top.

    Args:
        points: list of dictionaries from a hyperparameter to its value (a
            number, bool or string), one a trial.
        scores: list of floats, one a trial.
        score_name: string. Scores of an "accuracy" are drawn in percent.
            Defaults to `"validation accuracy"`.
        ax: matplotlib axes. Defaults to those of a new figure.

    Returns:
        The matplotlib axes.

    Raises:
        ValueError: if there is no trial, one has no score, or the lengths
            differ.
        ImportError: if matplotlib is not installed.

    Example:

    ```python
    trials = tuner.oracle.get_best_trials(20)
    ax = keras_ff.visualization.parallel_coordinates(
        [trial.hyperparameters.values for trial in trials],
        [trial.score for trial in trials],
    )
    ax.figure.savefig("trials.png")
    ```
    """
    if not points or len(points) != len(scores):
        raise ValueError(
            "`points` and `scores` must be of one length, at least one. "
            f"Received: {len(points)} points and {len(scores)} scores"
        )
    if any(score is None for score in scores):
        raise ValueError(
            "`scores` must be numbers; leave out the trials that failed. "
            f"Received: scores={scores}"
        )
    new_figure = ax is None
    ax = style.get_axes(ax)
    from matplotlib import colormaps

    names = list(dict.fromkeys(name for point in points for name in point))
    columns = [_scale([p.get(n) for p in points]) for n in names]
    columns.append(_scale(list(map(float, scores)), log=False))
    if new_figure:
        # No part of another one.
        ax.figure.set_size_inches(1.6 + 1.05 * len(columns), 5.2)  # pyright: ignore[reportAttributeAccessIssue]
    colors = colormaps["viridis"]
    # Of ranks, as one failure would make all others look alike.
    shades = np.linspace(0.9, 0.0, len(scores))[::-1]
    for i, shade in zip(np.argsort(scores), shades):
        ax.plot(
            range(len(columns)),
            [heights[i] for heights, _ in columns],
            # The light end is not legible on white.
            color=colors(shade),
            linewidth=1.6,
            marker="o",
            markersize=4,
        )
    in_percent = "accuracy" in score_name
    for column, (_, ticks) in enumerate(columns):
        ax.axvline(column, 0, 1, color="0.75", linewidth=0.8, zorder=0)
        for height, label in ticks:
            if in_percent and column == len(names):
                label = f"{100 * float(label):.4g} %"
            ax.annotate(
                label,
                (column, height),
                xytext=(4, 0),
                textcoords="offset points",
                fontsize=8,
                color=style.INK,
                verticalalignment="center",
                bbox=dict(facecolor="white", alpha=0.7, linewidth=0, pad=0.5),
            )
    ax.set_xticks(
        range(len(columns)),
        ["\n".join(re.split("[_ ]", n)) for n in [*names, score_name]],
    )
    ax.set_xlim(-0.2, len(columns) - 0.4)
    ax.set_ylim(UNUSED - 0.06, 1.06)
    some_unused = any(UNUSED in heights for heights, _ in columns)
    ax.set_yticks(
        [UNUSED, 0, 1] if some_unused else [0, 1],
        ["not used", "low", "high"] if some_unused else ["low", "high"],
    )
    style.decorate(ax, "hyperparameter, and what it led to", "value")
    ax.tick_params(axis="x", labelsize=9, length=0)
    ax.spines[["left", "bottom"]].set_visible(False)
    return ax


def _scale(values, log=True):
    """Heights of a column's values, and its ticks `(height, label)`."""
    used = {v for v in values if v is not None}
    if all(type(v) in (int, float) for v in used):
        low, high = min(used), max(used)
        log = log and low > 0 and high >= 8 * low
        to_axis = np.log if log else float
        span = to_axis(high) - to_axis(low)

        def height(v):
            return float((to_axis(v) - to_axis(low)) / span) if span else 0.5

        middle = float(np.sqrt(low * high)) if log else (low + high) / 2
        # All of a choice's values, or the ends and the middle of a range.
        ticks = used if len(used) <= 4 else {low, middle, high}
        labels = {height(v): f"{v:.4g}" for v in ticks}
    else:
        kinds = sorted(map(str, used))

        def height(v):
            return (kinds.index(str(v)) + 0.5) / len(kinds)

        labels = {height(v): v for v in kinds}
    heights = [UNUSED if v is None else height(v) for v in values]
    return heights, list(labels.items())
