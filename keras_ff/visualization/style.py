"""What the pictures share: axes, colors, labels."""

import numpy as np

TEXT_SIZE = 12
TICK_SIZE = 11
INK = "#222222"
# Okabe and Ito's colors, told apart by the color-blind.
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
    """Colors of things that have no order."""
    return [OKABE_ITO[i % len(OKABE_ITO)] for i in range(count)]


def lines(count):
    """Colors and line styles that tell so many lines apart."""
    styles = ("-", "--", ":", "-.")
    most = len(styles) * len(OKABE_ITO)
    if count > most:
        raise ValueError(
            f"At most {most} lines can be told apart. Received: {count}"
        )
    chosen = [styles[i // len(OKABE_ITO)] for i in range(count)]
    return qualitative(count), chosen


def sequential(count):
    """Colors from the first layer (dark) to the last (light)."""
    import matplotlib

    # The light end is not legible on white.
    return matplotlib.colormaps["viridis"](np.linspace(0.0, 0.75, count))


def markers(count):
    """Marker shapes that tell apart classes of the same color."""
    shapes = "osD^vPX"
    return [shapes[i // len(OKABE_ITO) % len(shapes)] for i in range(count)]


def decorate(ax, xlabel, ylabel):
    """Names the axes and removes what carries no information."""
    ax.set_xlabel(xlabel, fontsize=TEXT_SIZE)
    ax.set_ylabel(ylabel, fontsize=TEXT_SIZE)
    ax.tick_params(labelsize=TICK_SIZE)
    ax.spines[["top", "right"]].set_visible(False)


def horizontal_grid(ax):
    ax.grid(axis="y", color="0.9", linewidth=0.8)
    ax.set_axisbelow(True)


def epoch_axis(ax, num_epochs, first=1):
    """An axis of whole epochs."""
    from matplotlib.ticker import MaxNLocator

    around = 0.5 if num_epochs == 1 else 0
    ax.set_xlim(first - around, first + num_epochs - 1 + around)
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))


def name_axis(axis, names, places=None):
    """Names the places along an axis, as many as fit beside one another.

    Args:
        axis: `ax.xaxis` or `ax.yaxis`.
        names: list of strings.
        places: list of floats in data units. Defaults to 0, 1, 2, ...
    """
    names = list(names)
    places = np.arange(len(names)) if places is None else np.asarray(places)
    box = axis.axes.bbox
    horizontal = axis.axis_name == "x"
    length = (box.width if horizontal else box.height) * 72
    length /= axis.axes.figure.dpi
    low, high = sorted(axis.get_view_interval())
    places_in_points = (places - low) * length / (high - low)
    spaces = np.abs(np.diff(places_in_points))
    space = np.median(spaces) if len(spaces) else length
    upright = 1.3 * TICK_SIZE
    wide = (0.65 * max(map(len, names)) + 1) * TICK_SIZE if names else 0
    turned = False
    needed = wide if horizontal else upright
    if horizontal and space < needed and not all(map(str.isdigit, names)):
        turned, needed = True, 1.5 * upright
    # Numbers that are left out can be told from those that are not.
    steps = [s * 10**i for i in range(6) for s in (1, 2, 5)]
    step = next(s for s in steps if s * space >= needed or s >= len(names))
    kept = []
    for i in range(0, len(names), step):
        free = abs(places_in_points[i] - places_in_points[kept[-1:]])
        if np.all(free >= 0.99 * needed):
            kept.append(i)
    axis.set_ticks(places[kept], [names[i] for i in kept])
    for label in axis.get_ticklabels() if turned else []:
        label.set(rotation=45, ha="right", rotation_mode="anchor")


def color_scale(ax, image, label):
    bar = ax.figure.colorbar(image, ax=ax)
    bar.set_label(label, fontsize=TEXT_SIZE)
    bar.ax.tick_params(labelsize=TICK_SIZE)
    bar.outline.set_visible(False)


def percent_axis(axis):
    axis.set_major_formatter(lambda value, _: f"{100 * value:.6g} %")


def number_points(ax, places, heights, below=False):
    """Writes heights at points in percent, if there is room for all.

    Args:
        ax: matplotlib axes with its final limits.
        places: list of floats, 1 apart.
        heights: list of floats from 0 to 1.
        below: bool, whether the numbers are below or above the points.
    """
    from matplotlib.patheffects import withStroke

    left, right = ax.get_xlim()
    space = ax.bbox.width * 72 / ax.figure.dpi / (right - left)
    if space < 3 * TICK_SIZE:
        return
    for place, height in zip(places, heights):
        ax.annotate(
            f"{100 * height:.1f}",
            (place, height),
            xytext=(0, -10 if below else 4),
            textcoords="offset points",
            fontsize=TICK_SIZE,
            horizontalalignment="center",
            verticalalignment="top" if below else "bottom",
            path_effects=[withStroke(linewidth=3, foreground="white")],
        )


def label_right(ax, heights, labels, colors):
    """Writes labels right of the axes, next to heights, none on another.

    If there are too many, some are left out.

    Args:
        ax: matplotlib axes with its final limits.
        heights: list of heights in data units.
        labels: list of strings.
        colors: list of colors.
    """
    rows = list(zip(heights, labels, colors))
    if not rows:
        return
    low, high = ax.get_ylim()
    points = ax.bbox.height * 72 / ax.figure.dpi
    lines = 1 + max(label.count("\n") for _, label, _ in rows)
    distance = (high - low) * 1.35 * TICK_SIZE * lines / points
    # Of more than fit, every second (third, ...) is named, and the last.
    step = int(np.ceil(len(rows) * distance / (high - low)))
    rows = [*rows[:-1:step], rows[-1]]
    places = spread([row[0] for row in rows], distance, low, high)
    for place, (_, label, color) in zip(places, rows):
        ax.text(
            1.02,
            place,
            label,
            color=color,
            fontsize=TICK_SIZE,
            verticalalignment="center",
            transform=ax.get_yaxis_transform(),
        )


def spread(heights, distance, bottom=-np.inf, top=np.inf):
    """Moves heights apart, as little as it takes.

    Args:
        heights: list of floats.
        distance: float, the smallest distance of two.
        bottom, top: floats, bounds that leave room for all.

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
    upwards = np.argsort(places, kind="stable")
    for rank, i in enumerate(upwards):
        places[i] = max(places[i], bottom + rank * distance)
    for rank, i in enumerate(upwards[::-1]):
        places[i] = min(places[i], top - rank * distance)
    return places


def label_points(ax, points, labels, colors):
    """Writes labels beside points, those that do not hide another.

    Args:
        ax: matplotlib axes.
        points: array `(count, 2)` in data units.
        labels: list of strings.
        colors: list of colors.
    """
    from matplotlib.patheffects import withStroke

    # Layout and limits are final after drawing only.
    ax.figure.draw_without_rendering()
    scale = 72 / ax.figure.dpi
    places = ax.transData.transform(points) * scale
    left, bottom, right, top = ax.bbox.extents * scale
    taken = [_box(place, 10, 10) for place in places]
    for i, label in enumerate(labels):
        width = 0.65 * TICK_SIZE * len(label)
        for x, y in _AROUND:
            offset = np.array([x * (8 + width / 2), y * 13])
            box = _box(places[i] + offset, width, TICK_SIZE)
            inside = (
                left <= box[0]
                and box[2] <= right
                and bottom <= box[1]
                and box[3] <= top
            )
            others = taken[:i] + taken[i + 1 :]
            if inside and not any(_overlap(box, other) for other in others):
                break
        else:
            continue
        taken.append(box)
        ax.annotate(
            label,
            points[i],
            xytext=offset,
            textcoords="offset points",
            fontsize=TICK_SIZE,
            color=colors[i],
            fontweight="bold",
            horizontalalignment="center",
            verticalalignment="center",
            path_effects=[withStroke(linewidth=3, foreground="white")],
        )


# Where a label may be, seen from its point: the best first.
_AROUND = (
    *((1, 0), (-1, 0), (0, 1), (0, -1)),
    *((1, 1), (-1, 1), (1, -1), (-1, -1)),
)


def _box(center, width, height):
    x, y = center
    return (x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def _overlap(a, b):
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
