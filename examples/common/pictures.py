"""The pictures of a finished run."""

from examples.common import folder


def missing(output, results):
    """Whether a picture is not there that could be drawn."""
    names = ["curves.png"]
    if "layer_accuracy" in results:
        names.append("layers.png")
    return _matplotlib() and not all((output / n).exists() for n in names)


def draw(title, output, results):
    if not _matplotlib():
        print("No pictures: matplotlib is not installed.")
        return
    from keras_ff import visualization

    # A recipe's name is long; it stands above, not beside its only curve.
    history = results["history"]
    metric = "val_accuracy" if "val_accuracy" in history else "accuracy"
    axes = visualization.learning_curves({"": history}, metric)
    axes.set_title(title)
    folder.save_figure(axes.figure, output / "curves.png")
    if "layer_accuracy" in results:
        axes = visualization.layer_accuracy(
            list(results["layer_accuracy"]),
            list(results["layer_accuracy"].values()),
            combined=results["test_accuracy_last_epoch"],
        )
        folder.save_figure(axes.figure, output / "layers.png")


def _matplotlib():
    """Matplotlib, drawing into files, or `None`."""
    try:
        import matplotlib
    except ModuleNotFoundError:
        return None
    matplotlib.use("Agg")
    return matplotlib
