"""Which texts of a picture lie on one another."""

import itertools


def overlaps(ax):
    """Pairs of texts that overlap, or of a text and the figure's edge."""
    figure = ax.figure
    figure.canvas.draw()
    written = [
        ax.xaxis.label,
        ax.yaxis.label,
        *ax.texts,
        *_visible(ax.get_xticklabels(), ax.get_xlim(), 0),
        *_visible(ax.get_yticklabels(), ax.get_ylim(), 1),
    ]
    found = []
    corners = [
        (text.get_text(), _corners(text)) for text in written if text.get_text()
    ]
    for (a, box_a), (b, box_b) in itertools.combinations(corners, 2):
        if _intersect(box_a, box_b):
            found.append((a, b))
    for name, box in corners:
        if not all(
            -1 <= x <= figure.bbox.width + 1
            and -1 <= y <= figure.bbox.height + 1
            for x, y in box
        ):
            found.append((name, "the edge"))
    return found


def _visible(labels, limits, axis):
    low, high = sorted(limits)
    return [
        label
        for label in labels
        if low - 1e-6 <= label.get_position()[axis] <= high + 1e-6
    ]


def _corners(text):
    """The corners of a text, which may be turned, in pixels."""
    from matplotlib.transforms import Affine2D

    angle = text.get_rotation()
    if angle % 90 == 0:
        box = text.get_window_extent()
        return [
            (box.x0, box.y0),
            (box.x1, box.y0),
            (box.x1, box.y1),
            (box.x0, box.y1),
        ]
    # It is turned around its anchor.
    place = text.get_transform().transform(text.get_position())
    rotate = Affine2D().rotate_deg_around(*place, angle)
    text.set_rotation(0)
    box = text.get_window_extent()
    text.set_rotation(angle)
    return rotate.transform(
        [(box.x0, box.y0), (box.x1, box.y0), (box.x1, box.y1), (box.x0, box.y1)]
    )


def _intersect(a, b):
    """Whether two rectangles, turned or not, have a common inner point."""
    for corners in (a, b):
        for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]]):
            normal = (y1 - y0, x0 - x1)
            on_a = [x * normal[0] + y * normal[1] for x, y in a]
            on_b = [x * normal[0] + y * normal[1] for x, y in b]
            if max(on_a) <= min(on_b) or max(on_b) <= min(on_a):
                return False
    return True
