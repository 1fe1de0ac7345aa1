"""What early exit saves, and what it costs, on a trained model.

    python -m benchmarks.early_exit --data-dir DATA

Trains CAW-Conv networks for a few epochs, calibrates the threshold of
`predict_early_exit` on held-out images for several losses of accuracy, and
compares accuracy and time on the test images with `predict`. The models are
trained on the first backend; all backends load the same files. Threshold 1
lets nobody leave: its time is that of `predict` and the overhead. Processor
time, of all threads, depends less on what else the machine does.
"""

import json
import math
import tempfile
import time
from pathlib import Path

from benchmarks import script
from benchmarks.measure.in_turn import in_turn

ARCHITECTURES = ("tiny_cnn", "mlp")
QUICK = {
    "dataset": "digits",
    "width_multiplier": 0.02,
    "units": [20, 20],
    "epochs": 1,
    "repeats": 1,
}


def parse_arguments():
    parser = script.make_parser(
        "benchmarks.early_exit", __doc__.splitlines()[0]
    )
    add = parser.add_argument
    add(
        "--architectures",
        nargs="+",
        choices=ARCHITECTURES,
        default=list(ARCHITECTURES),
    )
    add("--dataset", default="fashion_mnist")
    add("--data-dir", help="where prepared data sets lie")
    add("--width-multiplier", type=float, default=0.1, help="of tiny_cnn")
    add("--units", nargs="+", type=int, default=[1000] * 5, help="of mlp")
    add("--epochs", type=int, default=3)
    add("--batch-size", type=int, default=256, help="of prediction")
    add("--losses", nargs="+", type=float, default=[0.001, 0.005, 0.01])
    add("--repeats", type=int, default=7)
    add("--models", help="where trained models are kept, or found again")
    return script.parse(parser, QUICK)


def main():
    settings = parse_arguments()
    with tempfile.TemporaryDirectory() as temporary:
        settings["models"] = settings["models"] or temporary
        results = script.measure_backends(
            "benchmarks.early_exit", settings, "early_exit.json"
        )
    print(table(results))


def measure(settings, output):
    """Measures one backend, in this process."""
    import keras

    import keras_ff

    results = {}
    for architecture in settings["architectures"]:
        keras.utils.set_random_seed(0)
        data = keras_ff.datasets.load(
            settings["dataset"], data_dir=settings["data_dir"]
        )
        path = Path(settings["models"]) / f"{architecture}.keras"
        if not path.exists():
            model = _trained(settings, architecture, data)
            model.save(path)
        model = keras_ff.models.load_model(path)
        results[architecture] = _compare(settings, model, data)
    Path(output).write_text(json.dumps(results))


def _trained(settings, architecture, data):
    import keras

    import keras_ff

    options = {
        "tiny_cnn": {"width_multiplier": settings["width_multiplier"]},
        "mlp": {"units": settings["units"]},
    }[architecture]
    inputs, _ = data.train.element_spec
    method = keras_ff.methods.get("caw")
    model = getattr(keras_ff.applications, architecture)(
        tuple(inputs.shape[1:]),
        10,
        method=method,
        # As it was measured.
        model_options={"layer_clipnorm": None},
        **options,
    )
    steps = settings["epochs"] * len(data.train)
    rate = {"tiny_cnn": 0.03, "mlp": 0.003}[architecture]
    model.compile(
        optimizer=method.optimizer(
            keras.optimizers.schedules.CosineDecay(rate, steps, alpha=0.1)
        ),
        loss=method.loss(),
    )
    model.fit(
        data.train,
        validation_data=data.validation,
        epochs=settings["epochs"],
        verbose=2,
    )
    return model


def _compare(settings, model, data):
    import numpy as np

    x, y = map(np.concatenate, zip(*data.test.as_numpy_iterator()))
    size = settings["batch_size"]
    rows = []
    for loss in settings["losses"]:
        found = model.calibrate_early_exit(
            data.validation, max_accuracy_loss=loss
        )
        rows.append({"max_accuracy_loss": loss, "validation": found._asdict()})
    thresholds = [1.0, *(row["validation"]["threshold"] for row in rows)]

    def visit(threshold):
        start = np.array([time.perf_counter(), time.process_time()])
        if threshold is None:
            result = model.predict(x, batch_size=size, verbose=0), None
        else:
            result = model.predict_early_exit(x, threshold, batch_size=size)
        stop = np.array([time.perf_counter(), time.process_time()])
        return result, stop - start

    thresholds = dict(enumerate([None, *thresholds]))
    found = in_turn(visit, thresholds, settings["repeats"]).values()
    results = [rounds[0][0] for rounds in found]
    full, nobody, *medians = (
        np.median([seconds for _, seconds in rounds], axis=0).tolist()
        for rounds in found
    )
    work = np.cumsum([_multiplications(layer) for layer in model.local_layers])
    for row, (predictions, used), median in zip(rows, results[2:], medians):
        row.update(
            accuracy=_accuracy(predictions, y),
            mean_layers_used=float(np.mean(used)),
            layers_used=np.bincount(used, minlength=len(work) + 1)[1:].tolist(),
            share_of_multiplications=float(np.mean(work[used - 1]) / work[-1]),
            seconds=median[0],
            cpu_seconds=median[1],
            speedup=full[0] / median[0],
            cpu_speedup=full[1] / median[1],
        )
    return {
        "test_samples": len(y),
        "layers": len(work),
        "contribution": model.contribution.weights.tolist(),
        "accuracy": _accuracy(results[0][0], y),
        "seconds": full[0],
        "cpu_seconds": full[1],
        "seconds_if_nobody_leaves": nobody[0],
        "cpu_seconds_if_nobody_leaves": nobody[1],
        "early_exit": rows,
    }


def _multiplications(layer):
    """Of the kernel of a local layer, for one sample."""
    features, _ = layer.output
    return math.prod((*layer.kernel.shape, *features.shape[1:-1]))


def _accuracy(predictions, y):
    return float((predictions.argmax(axis=-1) == y).mean())


def table(results):
    lines = [
        "Test accuracy and seconds for all test samples; `loss` is what the "
        "calibration allowed",
        "backend     network    loss  threshold  accuracy  layers"
        "  multiplications  seconds  CPU s  speed-up  in CPU s",
    ]
    for backend, networks in results["backends"].items():
        for network, found in networks.items():
            start = f"{backend:12}{network:9}"
            nobody = found["seconds_if_nobody_leaves"]
            nobody_cpu = found["cpu_seconds_if_nobody_leaves"]
            lines += [
                f"{start}predict{found['accuracy']:21.2%}{found['layers']:8}"
                f"{1:17.0%}{found['seconds']:9.2f}{found['cpu_seconds']:7.2f}",
                f"{start}{'-':>6}{1:11.4f}{found['accuracy']:10.2%}"
                f"{found['layers']:8}{1:17.0%}{nobody:9.2f}{nobody_cpu:7.2f}"
                f"{found['seconds'] / nobody:10.2f}"
                f"{found['cpu_seconds'] / nobody_cpu:10.2f}",
            ]
            lines += [
                f"{start}{row['max_accuracy_loss']:6.1%}"
                f"{row['validation']['threshold']:11.4f}"
                f"{row['accuracy']:10.2%}{row['mean_layers_used']:8.2f}"
                f"{row['share_of_multiplications']:17.0%}"
                f"{row['seconds']:9.2f}{row['cpu_seconds']:7.2f}"
                f"{row['speedup']:10.2f}{row['cpu_speedup']:10.2f}"
                for row in found["early_exit"]
            ]
    return "\n".join(lines)


if __name__ == "__main__":
    script.start(main, measure)
