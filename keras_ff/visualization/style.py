"""What the pictures share: axes, colours, labels."""

import numpy as np

TEXT_SIZE = 12
TICK_SIZE = 11
INK = "#222222"
# Okabe and Ito's colours, told apart by the colour-blind.
OKABE_ITO = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
)


def get_axes(ax=None):
    """Returns `ax`, or the axes of a new figure."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "`keras_ff.visualization` needs `matplotlib`, which could not be "
            'imported. Install it with: pip install "keras_ff[plot]"'
        ) from error
    if ax is None:
        _, ax = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
    return ax


def qualitative(count):
    """Colours of things that have no order."""
    return [OKABE_ITO[i % len(OKABE_ITO)] for i in range(count)]


def sequential(count):
    """Colours from the first layer (dark) to the last (light)."""
    import matplotlib

    # The light end is not legible on white.
    return matplotlib.colormaps["viridis"](np.linspace(0.0, 0.75, count))


def decorate(ax, xlabel, ylabel):
    """Names the axes and removes what carries no information."""
    ax.set_xlabel(xlabel, fontsize=TEXT_SIZE)
    ax.set_ylabel(ylabel, fontsize=TEXT_SIZE)
    ax.tick_params(labelsize=TICK_SIZE)
    ax.spines[["top", "right"]].set_visible(False)


def horizontal_grid(ax):
    ax.grid(axis="y", color="0.9", linewidth=0.8)
    ax.set_axisbelow(True)


def epoch_axis(ax, num_epochs):
    """An axis of whole epochs, the first of which is 1."""
    from matplotlib.ticker import MaxNLocator

    ax.set_xlim(1, max(num_epochs, 2))
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))


def percent_axis(axis):
    axis.set_major_formatter(lambda value, _: f"{100 * value:.6g} %")


def label_right(ax, heights, labels, colors):
    """Writes labels right of the axes, next to heights, none on another.

    Args:
        ax: matplotlib axes with its final limits.
        heights: list of heights in data units.
        labels: list of strings.
        colors: list of colours.
    """
    labels = list(labels)
    if not labels:
        return
    low, high = ax.get_ylim()
    points = ax.bbox.height * 72 / ax.figure.dpi
    lines = 1 + max(label.count("\n") for label in labels)
    distance = (high - low) * 1.35 * TICK_SIZE * lines / points
    places = spread(heights, distance)
    for place, label, color in zip(places, labels, colors):
        ax.text(
            1.02,
            place,
            label,
            color=color,
            fontsize=TICK_SIZE,
            verticalalignment="center",
            transform=ax.get_yaxis_transform(),
        )


def spread(heights, distance):
    """Moves heights apart, as little as it takes.

    Args:
        heights: list of floats.
        distance: float, the smallest distance of two.

    Returns:
        List of floats, in the order of `heights`.
    """
    # Groups of labels that touch, each as [members, mean height].
    groups = []
    for i in np.argsort(heights, kind="stable"):
        groups.append(([i], float(heights[i])))
        while len(groups) > 1:
            (below, low), (above, high) = groups[-2:]
            size = len(below) + len(above)
            if high - low >= distance * size / 2:
                break
            mean = (low * len(below) + high * len(above)) / size
            groups[-2:] = [(below + above, mean)]
    places = [0.0] * len(heights)
    for members, mean in groups:
        for rank, i in enumerate(members):
            places[i] = mean + distance * (rank - (len(members) - 1) / 2)
    return places
