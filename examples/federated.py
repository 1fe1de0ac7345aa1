"""Federated averaging: devices learn on what they have and share weights.

    pip install "keras_ff[tensorflow,federated]"
    KERAS_BACKEND=tensorflow python examples/federated.py --output runs/shared

Three devices have digits of their own: 0 to 3, 4 to 6 and 7 to 9. In every
round each of them trains in LiteRT, without Keras, and Flower
(https://flower.ai) averages the weights by its `FedAvg`. No sample leaves its
device. Beside it, on the same number of epochs: one device that saw all digits,
and each device alone.

Flower takes this file to the server and to the devices, which run what is in
`server` and `client`; all of it is on this machine, in processes of their own,
and over connections without encryption.
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sysconfig
import time

import numpy as np
from flwr.app import Array
from flwr.app import ArrayRecord
from flwr.app import Message
from flwr.app import MetricRecord
from flwr.app import RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp
from flwr.serverapp.strategy import FedAvg

from keras_ff.device import LiteRTTrainer

CLASSES = (0, 1, 2, 3), (4, 5, 6), (7, 8, 9)
BATCH_SIZE = 20
APP = """
[project]
name = "federated"
version = "1.0.0"
license = "Apache-2.0"
[tool.flwr.app]
publisher = "keras_ff"
[tool.flwr.app.components]
serverapp = "federated:server"
clientapp = "federated:client"
[tool.flwr.app.config]
"""

client = ClientApp()
server = ServerApp()


@client.train()
def train(message, context):
    """What a device does in a round: it goes on from the averaged weights."""
    settings = context.run_config
    device = context.node_config["device"]
    trainer = make_trainer(settings["folder"], f"device_{device}")
    trainer.set_weights(
        {name: x.numpy() for name, x in message.content["arrays"].items()}
    )
    x, y = load(settings["folder"], f"device_{device}")
    logs = trainer.fit(x, y, epochs=trainer.epoch + settings["epochs"])[-1]
    content = {
        "arrays": shared(trainer),
        # What `FedAvg` weighs the devices by.
        "metrics": MetricRecord({**logs, "num-examples": len(x)}),
    }
    return Message(RecordDict(content), reply_to=message)


@server.main()
def average(grid, context):
    """What the server does: rounds, and a test after each."""
    settings = context.run_config
    trainer = make_trainer(settings["folder"], "averaged")
    test = load(settings["folder"], "test")
    curve = []

    def evaluate(number, arrays):
        trainer.set_weights({name: x.numpy() for name, x in arrays.items()})
        logs = trainer.evaluate(*test)
        curve.append(logs["accuracy"])
        return MetricRecord(logs)

    FedAvg(
        fraction_evaluate=0.0,
        min_train_nodes=len(CLASSES),
        min_available_nodes=len(CLASSES),
    ).start(
        grid,
        initial_arrays=shared(trainer),
        num_rounds=settings["rounds"],
        evaluate_fn=evaluate,
    )
    trainer.save()
    file = pathlib.Path(settings["folder"], "curve.json")
    file.write_text(json.dumps(curve))


def make_trainer(folder, name):
    """The trainer of a device, which goes on with its file of weights."""
    path = pathlib.Path(folder)
    return LiteRTTrainer(
        path / "exported", weights=path / f"{name}_weights.npz", num_threads=1
    )


def shared(trainer):
    """The weights that are averaged: neither the optimizer's nor the epoch."""
    return ArrayRecord(
        {
            name: Array(value)
            for name, value in trainer.weights().items()
            if not name.startswith("optimizer/") and name != "epoch"
        }
    )


def load(folder, name):
    with np.load(pathlib.Path(folder, f"{name}.npz")) as data:
        return data["x"], data["y"]


def main():
    from examples.common import options

    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = flags.add_argument
    add("--rounds", type=options.positive_int, default=10)
    add("--epochs", type=options.positive_int, default=2, help="in a round")
    add("--learning-rate", type=options.positive_float, default=0.2)
    add("--seed", type=options.seed, default=0)
    add("--output", type=options.folder, required=True, help="a new folder")
    flags = flags.parse_args()
    folder = flags.output.resolve()
    if folder.exists() and os.listdir(folder):
        raise SystemExit(
            f"--output must be a new folder. Received: {folder}, which holds "
            "something."
        )
    folder.mkdir(parents=True, exist_ok=True)
    split(folder, flags.seed)
    export(folder, flags)
    results = {"settings": {**vars(flags), "output": str(flags.output)}}
    start = time.perf_counter()
    federate(folder, flags)
    results["seconds"] = time.perf_counter() - start
    results["averaged"] = json.loads((folder / "curve.json").read_text())
    epochs = flags.rounds * flags.epochs
    data = [load(folder, f"device_{i}") for i in range(len(CLASSES))]
    results["alone"] = [
        without_averages(folder, f"alone_{i}", *own, epochs)
        for i, own in enumerate(data)
    ]
    together = [np.concatenate(arrays) for arrays in zip(*data)]
    results["one with all"] = without_averages(folder, "all", *together, epochs)
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    for name in ("alone", "averaged", "one with all"):
        numbers = np.atleast_1d(results[name])
        print(f"{name:13}", " ".join(f"{x:.3f}" for x in numbers))


def split(folder, seed):
    """Writes each device's samples into a file of its own."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = digits.images[..., None].astype("float32") / 16
    order = np.random.default_rng(seed).permutation(len(images))
    train, test = order[:1200], order[1200:]
    parts = {
        f"device_{i}": train[np.isin(digits.target[train], classes)]
        for i, classes in enumerate(CLASSES)
    }
    for name, rows in {**parts, "test": test}.items():
        np.savez(folder / f"{name}.npz", x=images[rows], y=digits.target[rows])


def export(folder, flags):
    """Exports a network that has learned nothing yet."""
    import keras

    import keras_ff

    keras.utils.set_random_seed(flags.seed)
    parts = (
        [keras.layers.Conv2D(16, 3, padding="same"), keras.layers.MaxPool2D(2)],
        [keras.layers.Conv2D(32, 3, padding="same")],
    )
    blocks = [
        keras_ff.layers.LocalBlock(
            [*part, keras.layers.ReLU()],
            keras_ff.layers.GoodnessProjection(10, pooling="flatten"),
            normalization="layer",
        )
        for part in parts
    ]
    model = keras_ff.models.ForwardOnlyModel([keras.Input((8, 8, 1)), *blocks])
    model.compile(keras.optimizers.SGD(flags.learning_rate))
    keras_ff.export_training(model, folder / "exported", batch_size=BATCH_SIZE)


def without_averages(folder, name, x, y, epochs):
    """Test accuracy of a device that shares nothing."""
    trainer = make_trainer(folder, name)
    trainer.fit(x, y, epochs=epochs)
    return trainer.evaluate(*load(folder, "test"))["accuracy"]


def federate(folder, flags):
    """Lets Flower run its server, the devices and the rounds."""
    app, home = folder / "app", folder / "flower"
    app.mkdir()
    home.mkdir()
    shutil.copy(__file__, app / "federated.py")
    settings = {
        "folder": str(folder),
        "rounds": flags.rounds,
        "epochs": flags.epochs,
    }
    told = [f"{name} = {json.dumps(x)}" for name, x in settings.items()]
    (app / "pyproject.toml").write_text(APP + "\n".join(told) + "\n")
    address = f"127.0.0.1:{free_port()}"
    (home / "config.toml").write_text(
        f'[superlink.here]\naddress = "{address}"\ninsecure = true\n'
    )
    scripts = sysconfig.get_path("scripts")
    environment = {
        **os.environ,
        "FLWR_HOME": str(home),
        "FLWR_TELEMETRY_ENABLED": "0",
        "PATH": os.pathsep.join([scripts, os.environ["PATH"]]),
    }
    with contextlib.ExitStack() as stack:

        def start(log, *command):
            file = stack.enter_context(open(folder / f"{log}.log", "w"))
            process = subprocess.Popen(
                [shutil.which(command[0], path=scripts), *command[1:]],
                env=environment,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)
            return process

        superlink = start(
            "superlink",
            *("flower-superlink", "--insecure", *listening(address)),
            "--disable-runtime-dependency-installation",
        )
        wait_for(superlink, address)
        for device in range(len(CLASSES)):
            start(
                f"supernode_{device}",
                *("flower-supernode", "--insecure", "--superlink", address),
                *("--node-config", f"device={device}"),
                *listening(f"127.0.0.1:{free_port()}"),
            )
        run = start("run", "flwr", "run", str(app), "here", "--stream")
        run.wait()
    if not (folder / "curve.json").exists():
        raise SystemExit(
            f"Flower's run failed. It said: "
            f"{(folder / 'run.log').read_text()[-3000:]}"
        )


def listening(address):
    host, port = address.split(":")
    return "--host", host, "--port", port


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def wait_for(process, address):
    """Waits until a server takes connections."""
    host, port = address.split(":")
    while process.poll() is None:
        with contextlib.suppress(OSError):
            socket.create_connection((host, int(port)), 1).close()
            return
        time.sleep(0.2)
    raise SystemExit(f"flower-superlink ended with code {process.returncode}.")


if __name__ == "__main__":
    main()
