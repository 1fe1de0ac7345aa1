"""How much faster HFF predicts than the original Forward-Forward.

    python -m benchmarks.inference

Both have the same dense layers. HFF makes one pass; Forward-Forward one pass
for every class, here in one batch of all labels, which is its best. Also
measured: Forward-Forward's softmax read-out, which needs one pass.
"""

import json
import statistics
import time
from pathlib import Path

from benchmarks import script
from benchmarks.measure.in_turn import in_turn

METHODS = ("hff", "ff_goodness", "ff_readout")
QUICK = {
    "classes": [3, 6],
    "batch_sizes": [1, 4],
    "units": 16,
    "features": 32,
    "repeats": 2,
}


def parse_arguments():
    parser = script.make_parser("benchmarks.inference", __doc__.splitlines()[0])
    add = parser.add_argument
    add("--classes", nargs="+", type=int, default=[10, 100, 1000])
    add("--batch-sizes", nargs="+", type=int, default=[1, 256])
    add("--layers", type=int, default=3)
    add("--units", type=int, default=1000)
    add("--features", type=int, default=1024)
    add("--repeats", type=int, default=7)
    return script.parse(parser, QUICK)


def main():
    results = script.measure_backends(
        "benchmarks.inference", parse_arguments(), "inference.json"
    )
    print(table(results))


def measure(settings, output):
    """Measures one backend, in this process."""
    rows = [
        _compare(settings, classes, batch_size)
        for classes in settings["classes"]
        for batch_size in settings["batch_sizes"]
    ]
    Path(output).write_text(json.dumps(rows))


def _compare(settings, classes, batch_size):
    import keras
    import numpy as np

    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    models = _models(settings, classes)
    shape = (batch_size, settings["features"])
    x = np.random.default_rng(0).normal(size=shape).astype("float32")

    def visit(model):
        start = time.perf_counter()
        model.predict_on_batch(x)
        return time.perf_counter() - start

    seconds = in_turn(visit, models, settings["repeats"])
    medians = {name: statistics.median(v) for name, v in seconds.items()}
    operations = _multiplications(settings, classes)
    return {
        "classes": classes,
        "batch_size": batch_size,
        "seconds": medians,
        "speedup": medians["ff_goodness"] / medians["hff"],
        "speedup_in_multiplications": operations["ff"] / operations["hff"],
    }


def _models(settings, classes):
    import keras

    import keras_ff

    layers, units = settings["layers"], settings["units"]
    features = settings["features"]

    def forward_forward(inference):
        return keras_ff.models.ForwardForwardModel(
            [
                keras.Input((features,)),
                *[keras_ff.layers.FFDense(units) for _ in range(layers)],
            ],
            num_classes=classes,
            inference=inference,
        )

    return {
        "hff": keras_ff.models.ForwardOnlyModel(
            [
                keras.Input((features,)),
                *[
                    keras_ff.layers.PrototypeDense(
                        units, classes, normalization="rms"
                    )
                    for _ in range(layers)
                ],
            ]
        ),
        "ff_goodness": forward_forward("goodness"),
        "ff_readout": forward_forward("readout"),
    }


def _multiplications(settings, classes):
    """Of the matrix products that each method needs for a sample."""
    layers, units = settings["layers"], settings["units"]
    network = units * (settings["features"] + (layers - 1) * units)
    return {
        "hff": network + layers * units * classes,
        "ff": classes * network,
    }


def table(results):
    lines = [
        "Milliseconds to predict a batch; Forward-Forward's over HFF's, next "
        "to the same ratio of multiplications",
        "backend     classes  batch       HFF        FF   read-out   FF/HFF"
        "  in multiplications",
    ]
    for backend, rows in results["backends"].items():
        for row in rows:
            times = "".join(
                f"{1e3 * row['seconds'][name]:10.2f}" for name in METHODS
            )
            lines.append(
                f"{backend:10}{row['classes']:9}{row['batch_size']:7}{times}"
                f"{row['speedup']:9.1f}"
                f"{row['speedup_in_multiplications']:20.1f}"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    script.start(main, measure)
