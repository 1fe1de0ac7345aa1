"""The picture of the whole demo."""

from demo import panels

TITLE_SIZE = 14


def draw_figure(metrics, results):
    """Draws everything on one figure.

    Args:
        metrics: what `demo.metrics.collect` returned.
        results: what `demo.experiment.run` returned.

    Returns:
        A matplotlib figure.
    """
    import matplotlib.figure

    figure = matplotlib.figure.Figure(
        figsize=(13.33, 8.0), dpi=150, layout="constrained"
    )
    figure.get_layout_engine().set(w_pad=0.15, h_pad=0.12)
    parts = figure.subfigures(2, 2).ravel()
    single = (panels.curves, panels.layers, panels.contributions)
    titles = (
        "Both learn the task",
        "Every layer alone, and all of them together",
        "How much each layer counts",
        "Which class each channel of the first layer stands for",
    )
    for part, title in zip(parts, titles):
        part.suptitle(title, fontsize=TITLE_SIZE, fontweight="bold")
    for part, panel in zip(parts, single):
        panel(part.subplots(), metrics, results)
    panels.assignment(parts[-1].subplots(1, 2), metrics, results)
    return figure
