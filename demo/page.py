"""The report as one self-contained page."""

import base64
import html
import io
import pathlib
import re
import string

from demo import panels
from demo import table

TEMPLATE = pathlib.Path(__file__).with_name("page_template.html")


def write_page(path, metrics, results):
    """Writes the page, with all pictures in it.

    Args:
        path: path of the file.
        metrics: what `demo.metrics.collect` returned.
        results: what `demo.experiment.run` returned.
    """
    template = string.Template(TEMPLATE.read_text(encoding="utf-8"))
    images = metrics["test_images"]
    local, reference = (
        round(images * metrics[f"{name}_accuracy"])
        for name in ("forward_only", "backprop")
    )
    page = template.substitute(
        forward_only=table.percent(metrics["forward_only_accuracy"]),
        backprop=table.percent(metrics["backprop_accuracy"]),
        difference=abs(local - reference),
        test_images=images,
        num_layers=len(metrics["layer_accuracy"]),
        epochs=metrics["configuration"]["epochs"],
        rows=_rows(table.rows(metrics)),
        notes=_notes(table.notes(metrics)),
        curves=_picture(panels.curves, metrics, results),
        layers=_picture(panels.layers, metrics, results),
        layers_over_epochs=_picture(
            panels.layers_over_epochs, metrics, results
        ),
        contributions=_picture(panels.contributions, metrics, results),
        assignment=_picture(panels.assignment, metrics, results, columns=2),
        setup=html.escape(_setup(metrics)),
    )
    path.write_text(page, encoding="utf-8")


def _picture(panel, metrics, results, columns=1):
    """A picture as the address of an image that holds the image."""
    import matplotlib.figure

    figure = matplotlib.figure.Figure(
        figsize=(7.6, 4.2), dpi=130, layout="constrained"
    )
    panel(figure.subplots(1, columns), metrics, results)
    image = io.BytesIO()
    figure.savefig(image, format="png")
    data = base64.b64encode(image.getvalue()).decode("ascii")
    return f"data:image/png;base64,{data}"


def _rows(rows):
    return "\n".join(
        "<tr>"
        + f'<th scope="row">{html.escape(name)}</th>'
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
        + "</tr>"
        for name, *cells in rows
    )


def _notes(notes):
    return re.sub("`(.*?)`", r"<code>\1</code>", html.escape(" ".join(notes)))


def _setup(metrics):
    configuration = metrics["configuration"]
    versions = ", ".join(f"{n} {v}" for n, v in metrics["versions"].items())
    return (
        f"{configuration['dataset']}; {configuration['epochs']} epochs, "
        f"batches of {configuration['batch_size']}, "
        f"{configuration['optimizer']}, seed {metrics['seed']}; "
        f"backend {metrics['backend']} on {metrics['cpu_cores']} CPU cores; "
        f"{versions}."
    )
