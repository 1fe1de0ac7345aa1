"""One run on several devices: in processes, or as replicas of TensorFlow.

`--devices 2` is all that a run needs for it. Elsewhere `torchrun` starts the
processes on PyTorch, also on several machines.
"""

import contextlib
import datetime
import os
import signal
import socket
import subprocess
import sys
import time

import keras

import keras_ff
from examples.common import options
from keras_ff.models.trainers import process_index

# Enough for a process to write a large model while the others wait; then they
# end with an error. Of PyTorch's own, half an hour, nobody knows why it waits.
TIMEOUT = datetime.timedelta(minutes=5)

# What the processes that are left get to say what they miss.
SECONDS_TO_END = 120

# The `tf.distribute.Strategy` of this run.
_strategy = None


def add_flag(flags):
    flags.add_argument(
        "--devices",
        type=options.positive_int,
        default=1,
        help="how many share every batch: processes of this machine, on "
        "TensorFlow replicas",
    )


def start():
    """Joins the other processes of this run, if it is one of several.

    Before anything is computed. Only the first one prints.
    """
    if not several():
        return
    if keras.backend.backend() == "torch":
        _join_torch()
    elif keras.backend.backend() == "jax":
        _join_jax()
    else:
        raise SystemExit(
            "On TensorFlow a run has one process. Received: WORLD_SIZE="
            f"{os.environ['WORLD_SIZE']}. Give --devices instead."
        )
    if not writes():
        sys.stdout = open(os.devnull, "w")


def _join_torch():
    import torch

    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group(timeout=TIMEOUT)


def _join_jax():
    if "TORCHELASTIC_RUN_ID" in os.environ:
        raise SystemExit(
            "torchrun starts processes of PyTorch. Received: the backend "
            "'jax'. Give --devices instead."
        )
    address, port = (os.environ[f"MASTER_{x}"] for x in ("ADDR", "PORT"))
    keras.distribution.initialize(
        f"{address}:{port}",
        int(os.environ["WORLD_SIZE"]),
        int(os.environ["RANK"]),
    )
    keras.distribution.set_distribution(keras.distribution.DataParallel())


def share(devices):
    """Lets as many devices share every batch, if this is not one of them.

    The processes of JAX and PyTorch run this command, and it ends as they end.
    """
    global _strategy
    if devices == 1 or several():
        return
    if keras.backend.backend() == "tensorflow":
        _strategy = _mirrored(devices)
    else:
        raise SystemExit(_run(devices))


def scope():
    """A context in which models are made."""
    return _strategy.scope() if _strategy else contextlib.nullcontext()


def devices():
    """How many share every batch."""
    if _strategy:
        return _strategy.num_replicas_in_sync
    return int(os.environ.get("WORLD_SIZE", 1))


def _mirrored(devices):
    import tensorflow as tf

    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    found = tf.config.list_physical_devices(kind)
    if kind == "CPU":
        # One stands for as many as asked for.
        tf.config.set_logical_device_configuration(
            found[0], [tf.config.LogicalDeviceConfiguration()] * devices
        )
    elif len(found) < devices:
        raise SystemExit(
            f"There are not so many GPUs. Received: --devices {devices}. "
            f"Found: {len(found)}"
        )
    return tf.distribute.MirroredStrategy(
        [f"{kind}:{i}" for i in range(devices)]
    )


def _run(count):
    """Runs this command in several processes; returns an exit code."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    common = {
        "OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // count)),
        **os.environ,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        "WORLD_SIZE": str(count),
    }
    running = []
    # A terminated parent ends its children.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        for rank in range(count):
            own = {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            if keras.backend.backend() == "jax":
                own["CUDA_VISIBLE_DEVICES"] = str(rank)
            running.append(
                subprocess.Popen(sys.orig_argv, env={**common, **own})
            )
        return _code(running)
    finally:
        for process in running:
            process.kill()


def _code(running):
    """Waits until all have ended, and no longer where one has failed."""
    end = None
    while any(process.poll() is None for process in running):
        failed = any(process.returncode for process in running)
        end = end or (failed and time.monotonic() + SECONDS_TO_END)
        if end and time.monotonic() > end:
            break
        time.sleep(0.2)
    codes = [process.returncode for process in running]
    return next((code for code in codes if code), 0)


def several():
    """Whether this process is one of several of this run."""
    return _strategy is None and devices() > 1


def writes():
    """Whether this process is the one that writes files."""
    return process_index() == 0


def check(model):
    """Ends the program if processes would train models of their own."""
    local = isinstance(model, keras_ff.models.ForwardOnlyModel)
    supervised = isinstance(model, keras_ff.models.DeepSupervisionModel)
    if several() and not (local or supervised):
        raise SystemExit(
            "Several processes train models with local losses together. "
            f"Received: a {type(model).__name__}. Start one process."
        )
