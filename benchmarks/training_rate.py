"""Images a second of a published network in `fit`, and how near the limit.

    python -m benchmarks.training_rate
    python -m benchmarks.training_rate --architecture tiny_cnn \\
        --width-multiplier 0.2 --dtypes float32 --steps 10

The pixels wait on the device and are augmented there, as in
`examples/reproduce.py`; what Keras does between the steps counts. The share is
that of the rate at which the same device multiplies matrices.
"""

import json
import statistics
import time
from pathlib import Path

from benchmarks import script
from benchmarks.measure.in_turn import in_turn

METHODS = ("caw", "backprop")
QUICK = {
    "architecture": "tiny_cnn",
    "width_multiplier": 0.05,
    "dtypes": ["float32"],
    "batch_size": 8,
    "steps": 2,
    "repeats": 1,
    "matrix_size": 64,
}


def parse_arguments():
    parser = script.make_parser(
        "benchmarks.training_rate", __doc__.splitlines()[0]
    )
    add = parser.add_argument
    add("--architecture", default="resnet17")
    add("--width-multiplier", type=float, default=1.0)
    add("--dtypes", nargs="+", default=["float32", "mixed_bfloat16"])
    add("--batch-size", type=int, default=128)
    add("--steps", type=int, default=100, help="of an epoch")
    add("--repeats", type=int, default=5, help="epochs that count")
    add("--matrix-size", type=int, default=8192)
    return script.parse(parser, QUICK)


def main():
    results = script.measure_backends(
        "benchmarks.training_rate", parse_arguments(), "training_rate.json"
    )
    print(table(results))


def measure(settings, output):
    """Measures one backend, in this process."""
    rows = [_compare(settings, dtype) for dtype in settings["dtypes"]]
    Path(output).write_text(json.dumps(rows))


def _compare(settings, dtype):
    import keras
    import numpy as np

    import keras_ff
    from benchmarks import rates

    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(dtype)
    matrix_rate = rates.matrix_product_gflops(
        settings["matrix_size"],
        keras.dtype_policies.get(dtype).compute_dtype,
        repeats=5,
    )
    rng = np.random.default_rng(0)
    images = settings["steps"] * settings["batch_size"]
    x = rng.integers(0, 256, (images, 32, 32, 3), dtype="uint8")
    y = rng.integers(0, 10, images, dtype="int32")
    batches = keras_ff.datasets.ArrayBatches(
        tuple(map(keras.ops.convert_to_tensor, (x, y))),
        settings["batch_size"],
        seed=0,
    )
    models = {method: _model(settings, method) for method in METHODS}

    def visit(model):
        start = time.perf_counter()
        model.fit(batches, verbose=0, shuffle=False)
        return images / (time.perf_counter() - start)

    speeds = in_turn(visit, models, settings["repeats"])
    row = {"dtype": dtype, "matrix_product_gflops": matrix_rate}
    for method, model in models.items():
        speed = statistics.median(speeds[method])
        flops = _training_flops(model, local=method != "backprop")
        row[method] = {
            "images_per_second": speed,
            "gflop_of_an_image": flops / 1e9,
            "share_of_matrix_rate": speed * flops / 1e9 / matrix_rate,
        }
    return row


def _model(settings, method):
    import keras_ff

    method = keras_ff.methods.get(method)
    options = {}
    if "contribution" in method.model_options:
        # Nothing is validated here.
        options["contribution"] = keras_ff.contributions.Uniform()
    model = getattr(keras_ff.applications, settings["architecture"])(
        (32, 32, 3),
        10,
        method=method,
        width_multiplier=settings["width_multiplier"],
        preprocessing=keras_ff.datasets.preprocessing("cifar10", augment=True),
        model_options=options,
    )
    model.compile(
        optimizer=method.optimizer(),
        loss=method.loss(),
        metrics=["accuracy"],
    )
    return model


def _training_flops(model, local):
    """Operations of the matrix products that a step needs for an image.

    Output and gradient of every kernel; backpropagation also needs the
    gradient of every input but the first.
    """
    from keras import tree

    outputs = []
    for layer in model.layers:
        kernel = getattr(layer, "kernel", None)
        if kernel is not None:
            positions = 1
            for size in tree.flatten(layer.output)[0].shape[1:-1]:
                positions *= size
            products = 1
            for size in kernel.shape:
                products *= size
            outputs.append(2 * positions * products)
    if local:
        return 2 * sum(outputs)
    return 3 * sum(outputs) - outputs[0]


def table(results):
    lines = [
        "Images a second in fit, and the share of the matrix rate",
        "backend     dtype            matrix rate            CAW-Conv"
        "     backpropagation",
    ]
    for backend, rows in results["backends"].items():
        for row in rows:
            cells = "".join(
                f"{row[method]['images_per_second']:12,.0f} "
                f"{row[method]['share_of_matrix_rate']:6.1%}"
                for method in METHODS
            )
            lines.append(
                f"{backend:12}{row['dtype']:15}"
                f"{row['matrix_product_gflops']:9,.0f} GF/s{cells}"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    script.start(main, measure)
