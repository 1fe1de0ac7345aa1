"""The result as a table."""


def rows(metrics):
    """The rows of the table: a name and one text a method."""
    local, reference = (
        metrics["forward_only_accuracy"],
        metrics["backprop_accuracy"],
    )
    table = [("test accuracy", percent(local), percent(reference))]
    table += [
        (f"  of {name} alone", percent(accuracy), "")
        for name, accuracy in metrics["layer_accuracy"].items()
    ]
    for title, key, text in (
        ("parameters", "parameters", "{:,}".format),
        ("time of a step", "step_seconds", _milliseconds),
        ("peak memory of a step", "step_peak_bytes", _mebibytes),
    ):
        values = metrics[key]
        table.append(
            (title, text(values["forward_only"]), text(values["backprop"]))
        )
    return table


def format_table(metrics):
    """The table as text, with what is to be known about it."""
    head = ("", "forward-only", "backpropagation")
    lines = [
        f"{name:<24}{local:>15}{reference:>18}"
        for name, local, reference in [head, *rows(metrics)]
    ]
    lines.insert(1, "-" * len(lines[0]))
    return "\n".join([*lines, "", *notes(metrics)])


def notes(metrics):
    """Sentences that say what the numbers are."""
    images = metrics["test_images"]
    layers = len(metrics["layer_accuracy"])
    return [
        f"Accuracy on {images} test images after the last epoch; one image is "
        f"{100 / images:.2f} points.",
        f"Memory is {metrics['step_peak_bytes_are']}.",
        f"With {layers} layers as small as these a step is mostly overhead, "
        "and neither number is what a deep network gives: `make bench` "
        "measures those.",
    ]


def percent(value):
    return f"{100 * value:.1f} %"


def _milliseconds(seconds):
    return f"{1000 * seconds:.1f} ms"


def _mebibytes(number):
    return "not measured" if number is None else f"{number / 2**20:.1f} MiB"
