"""Images a second in `fit` when devices share every batch.

    python -m benchmarks.data_parallel

Local learning and backpropagation of the same convolutions, each on the engine
that its backend has: replicas of `MirroredStrategy`, virtual devices of JAX,
processes of PyTorch (where backpropagation goes through
`DistributedDataParallel`). Every device has a core. Beside them one device has
all of these cores, which is what to beat on one machine. The batch stays the
same, so the ideal is as many times as there are devices.
"""

import json
import os
import socket
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks import script
from benchmarks.measure import processes
from benchmarks.measure.in_turn import in_turn

METHODS = ("local", "backprop")
QUICK = {
    "devices": [2],
    "layers": 2,
    "width": 4,
    "batch_size": 4,
    "steps": 2,
    "repeats": 1,
    "rounds": 1,
}


def make_parser():
    parser = script.make_parser(
        "benchmarks.data_parallel", __doc__.splitlines()[0]
    )
    add = parser.add_argument
    add("--devices", nargs="+", type=int, default=[2], help="beside one")
    add("--layers", type=int, default=8)
    add("--width", type=int, default=32, help="channels of every layer")
    add("--batch-size", type=int, default=64, help="of all devices together")
    add("--steps", type=int, default=8, help="batches of an epoch")
    add("--repeats", type=int, default=3, help="epochs of a process")
    add("--rounds", type=int, default=3, help="processes of each kind, in turn")
    return parser


def settings_like(others):
    """The defaults, for the backends and the folder of other settings."""
    settings = vars(make_parser().parse_args([]))
    names = ("backends", "output", "quick")
    settings.update({name: others[name] for name in names})
    return {**settings, **(QUICK if others["quick"] else {})}


def main():
    run(script.parse(make_parser(), QUICK))


def run(settings):
    """Measures all backends, writes what is found and prints it."""
    results = script.write_backends(
        lambda backend: _compare(backend, settings),
        settings,
        "data_parallel.json",
    )
    print(table(results["backends"]))


def measure(settings, output):
    """Measures one way of one backend, in this process."""
    Path(output).write_text(json.dumps(_epochs(settings)))


def _compare(backend, settings):
    """The speeds of a backend with all ways to use the cores."""
    print(f"{backend} ...", flush=True)
    most = max(settings["devices"])
    numbers = [1, *settings["devices"]]
    ways = {(number, number): (number, number) for number in numbers}
    ways[1, most] = 1, most
    found = in_turn(
        lambda way: _visit(backend, settings, *way),
        ways,
        settings["rounds"],
        warm_up=0,
    )
    speeds = {
        way: {
            method: [speed for visit in visits for speed in visit[method]]
            for method in METHODS
        }
        for way, visits in found.items()
    }
    return [
        {
            "devices": devices,
            "cores": cores,
            **{
                method: {
                    "images_per_second": statistics.median(own),
                    "gain": statistics.median(own)
                    / statistics.median(speeds[1, 1][method]),
                }
                for method, own in of_way.items()
            },
        }
        for (devices, cores), of_way in speeds.items()
    ]


def _visit(backend, settings, devices, cores):
    """Trains on some devices in a process of its own, or in several."""
    count = devices if backend == "torch" else 1
    environment = {"OMP_NUM_THREADS": str(cores // count)}
    if backend == "jax":
        flag = f"--xla_force_host_platform_device_count={devices}"
        environment["XLA_FLAGS"] = flag
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = free.getsockname()[1]

    def one(rank):
        way = {"devices": devices, "cores": cores, "port": address}
        return processes.run(
            "benchmarks.data_parallel",
            backend,
            {**settings, "way": {**way, "rank": rank, "processes": count}},
            **environment,
        )

    with ThreadPoolExecutor(count) as pool:
        first, *_ = pool.map(one, range(count))
    return first


def _epochs(settings):
    """Images a second of every epoch, by method."""
    way = settings["way"]
    _take_cores(way)
    import keras

    from benchmarks import stacks

    keras.utils.set_random_seed(0)
    scope = _join(way)
    x, y = stacks.random_batch(
        settings["batch_size"] * settings["steps"], settings["width"]
    )
    shape = settings["layers"], settings["width"]
    with scope:
        models = {
            method: make("published", *shape)
            for method, make in stacks.STACKS.items()
        }
    fits = {
        method: _fit(method, model, way, x, y, settings["batch_size"])
        for method, model in models.items()
    }

    def visit(fit):
        start = time.perf_counter()
        fit()
        return len(x) / (time.perf_counter() - start)

    return in_turn(visit, fits, settings["repeats"])


def _take_cores(way):
    """Leaves this process as many cores as the way has; not on macOS."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        count = way["cores"] // way["processes"]
        first = way["rank"] * count
        os.sched_setaffinity(0, cores[first : first + count] or cores)


def _join(way):
    """Starts the engine of the backend; returns a scope for models."""
    import contextlib

    import keras

    if way["devices"] == 1:
        return contextlib.nullcontext()
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0],
            [tf.config.LogicalDeviceConfiguration()] * way["devices"],
        )
        names = [f"CPU:{i}" for i in range(way["devices"])]
        return tf.distribute.MirroredStrategy(names).scope()
    if keras.backend.backend() == "jax":
        keras.distribution.set_distribution(keras.distribution.DataParallel())
    else:
        import torch

        torch.distributed.init_process_group(
            "gloo",
            init_method=f"tcp://127.0.0.1:{way['port']}",
            rank=way["rank"],
            world_size=way["processes"],
        )
    return contextlib.nullcontext()


def _fit(method, model, way, x, y, batch_size):
    """A function that trains an epoch."""
    if method == "backprop" and way["processes"] > 1:
        # Keras alone would train a model in each process.
        model = _with_ddp(model)
        rows = slice(way["rank"], None, way["processes"])
        x, y = x[rows], y[rows]
        batch_size //= way["processes"]
    return lambda: model.fit(
        x, y, batch_size=batch_size, shuffle=False, verbose=0
    )


def _with_ddp(model):
    """A Keras model that trains through `DistributedDataParallel`."""
    import keras
    import torch

    class Model(keras.Model):
        def train_step(self, data):
            x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
            loss = self._compute_loss(x=x, y=y, y_pred=ddp(x), training=True)
            self.zero_grad()
            loss.backward()
            variables = self.trainable_weights
            gradients = [v.value.grad for v in variables]
            with torch.no_grad():
                self.optimizer.apply(gradients, variables)
            return {"loss": loss}

    trained = Model(model.inputs, model.outputs)
    trained.compile(model.optimizer, model.loss)
    ddp = torch.nn.parallel.DistributedDataParallel(trained)
    return trained


def table(found):
    lines = [
        "Images a second in fit, and how many times those of one core",
        "backend     devices  cores           local      backpropagation",
    ]
    for backend, rows in found.items():
        for row in rows:
            cells = "".join(
                f"{row[method]['images_per_second']:12,.0f} "
                f"{row[method]['gain']:6.2f}"
                for method in METHODS
            )
            lines.append(
                f"{backend:12}{row['devices']:7}{row['cores']:7}{cells}"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    script.start(main, measure)
