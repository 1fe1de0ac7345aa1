"""The pictures of a finished run."""


def draw(title, output, results):
    try:
        import matplotlib
    except ModuleNotFoundError:
        print("No pictures: matplotlib is not installed.")
        return
    matplotlib.use("Agg")
    from keras_ff import visualization

    # A recipe's name is long; it stands above, not beside its only curve.
    axes = visualization.learning_curves({"": results["history"]})
    axes.set_title(title)
    axes.figure.savefig(output / "curves.png", dpi=150)
    if "layer_accuracy" in results:
        axes = visualization.layer_accuracy(
            list(results["layer_accuracy"]),
            list(results["layer_accuracy"].values()),
            combined=results["test_accuracy_last_epoch"],
        )
        axes.figure.savefig(output / "layers.png", dpi=150)
