"""What `LayerParallel` gains over one stage with all cores.

    python -m benchmarks.layer_parallel

Trains one network in turn on all cores, layer after layer, and with its layers
in stages, each on its part of the cores: on PyTorch in threads, on JAX on
virtual devices. Every stage learns from whole batches, so the ideal is as many
times as there are stages; one stage with as many threads is what to beat.
"""

import json
import statistics
import time
from pathlib import Path

from benchmarks import script
from benchmarks.measure.in_turn import in_turn

# On GPUs, of one network: what "DeeperForward" (ICLR 2025,
# https://openreview.net/forum?id=kOYnXVQCtA) publishes; not measured here.
PUBLISHED = {2: 1.75, 4: 2.48}
QUICK = {
    "stages": [2],
    "layers": 2,
    "width": 4,
    "batch_size": 4,
    "steps": 2,
    "repeats": 1,
}


def parse_arguments():
    parser = script.make_parser(
        "benchmarks.layer_parallel", __doc__.splitlines()[0]
    )
    backends = [b for b in script.BACKENDS if b != "tensorflow"]
    parser.set_defaults(backends=backends)
    parser.add_argument("--stages", nargs="+", type=int, default=[2])
    add_network(parser, layers=8, steps=24)
    return script.parse(parser, QUICK)


def add_network(parser, layers, steps):
    """The arguments of equal convolutions and how they are timed."""
    add = parser.add_argument
    add("--layers", type=int, default=layers)
    add("--width", type=int, default=64, help="channels of every layer")
    add("--size", type=int, default=16, help="of the maps, in pixels")
    add("--batch-size", type=int, default=64)
    add("--steps", type=int, default=steps, help="batches of an epoch")
    add("--repeats", type=int, default=5)


def main():
    settings = parse_arguments()
    devices = max(settings["stages"])
    flags = f"--xla_force_host_platform_device_count={devices}"
    results = script.measure_backends(
        "benchmarks.layer_parallel",
        settings,
        "layer_parallel.json",
        XLA_FLAGS=flags,
    )
    print(table(results["backends"]))


def measure(settings, output):
    """Measures one backend, in this process."""
    Path(output).write_text(json.dumps(compare(settings)))


def network(settings):
    """A chain of equal local convolutions, compiled."""
    import keras

    import keras_ff

    keras.utils.set_random_seed(0)
    shape = (settings["size"], settings["size"], settings["width"])
    model = keras_ff.models.ForwardOnlyModel(
        [
            keras.Input(shape),
            *[
                keras_ff.layers.CAWConv2D(
                    settings["width"], 3, num_classes=10, padding="same"
                )
                for _ in range(settings["layers"])
            ],
        ]
    )
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9))
    return model


def batches(settings):
    """The arrays of an epoch."""
    import numpy as np

    rng = np.random.default_rng(0)
    number = settings["steps"] * settings["batch_size"]
    shape = (settings["size"], settings["size"], settings["width"])
    x = rng.random((number, *shape), dtype="float32")
    return x, rng.integers(0, 10, number)


def compare(settings):
    """Seconds of an epoch, by the number of stages; 1 is without."""
    import keras

    from keras_ff.distribution import LayerParallel

    x, y = batches(settings)
    ways = {1: None}
    for number in settings["stages"]:
        devices = None
        if keras.backend.backend() == "jax":
            devices = keras.distribution.list_devices()[:number]
        ways[number] = LayerParallel(devices=devices, stages=number)
    models = {number: network(settings) for number in ways}

    def visit(number):
        keras.distribution.set_distribution(ways[number])
        start = time.perf_counter()
        models[number].fit(
            x, y, batch_size=settings["batch_size"], shuffle=False, verbose=0
        )
        seconds = time.perf_counter() - start
        keras.distribution.set_distribution(None)
        return seconds

    found = in_turn(visit, {n: n for n in ways}, settings["repeats"])
    return [
        {
            "stages": number,
            "seconds": statistics.median(seconds),
            "gain": statistics.median(
                one / own for one, own in zip(found[1], seconds)
            ),
            "layer_seconds": _layer_seconds(models[number]),
        }
        for number, seconds in found.items()
    ]


def _layer_seconds(model):
    """What `LayerParallel` measured of each layer, to balance its stages."""
    for (kind, _), spread in model._spreads.items():
        if kind == "train":
            return spread.seconds
    return None


def table(found):
    rows = ["backend  stages  seconds an epoch  times as fast"]
    for backend, results in found.items():
        for row in results:
            rows.append(
                f"{backend:7}  {row['stages']:6}  {row['seconds']:16.2f}  "
                f"{row['gain']:13.2f}"
            )
    rows.append("Published of DeeperForward, on GPUs (not measured here):")
    for number, gain in PUBLISHED.items():
        rows.append(f"{'':7}  {number:6}  {'':16}  {gain:13.2f}")
    return "\n".join(rows)


if __name__ == "__main__":
    script.start(main, measure)
