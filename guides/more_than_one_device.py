"""
Title: More than one device or machine
Author: The keras_ff authors
Date created: 2026/11/28
Last modified: 2026/11/28
Description: Data-parallel by torchrun, a process that dies, layers in stages.
Accelerator: None
"""

"""
## What you will learn

One device is too slow, or there are several. Nothing changes in the model:

- **Data-parallel**: processes share every batch, with the numbers of one
  process. One that dies costs an epoch, not the training.
- **Layer-parallel**, which only local learning can do: no gradient comes back
  from the layers above, so layers train side by side and none waits.

The guide runs on PyTorch, on a CPU with two processes, in less than a minute.
How JAX, TensorFlow and Ray Train do the same:
[docs/more_than_one_device.md](../docs/more_than_one_device.md).

## A script for any number of processes

Only two lines know of several processes: the one that joins them, and the one
that lets the first one print. `batch_size` is that of all processes together,
and every process is given all arrays: each takes its share of every batch, and
all begin with the weights of the first.
"""

import os

os.environ["KERAS_BACKEND"] = "torch"

import pathlib
import re
import subprocess
import sys
import tempfile

import keras

import keras_ff

script = """
import datetime
import os
import signal
import sys

import keras
import torch

import keras_ff

folder, epochs, dies_in = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
if "RANK" in os.environ:
    torch.distributed.init_process_group(
        "gloo", timeout=datetime.timedelta(minutes=2)
    )
rank = int(os.environ.get("RANK", 0))


def die(epoch, logs):
    if rank == 1 and epoch == dies_in:
        os.kill(os.getpid(), signal.SIGKILL)


keras.utils.set_random_seed(0)
train, validation, _ = keras_ff.datasets.load_arrays("digits")
model = keras_ff.models.ForwardOnlyModel(
    [
        keras.Input((8, 8, 1)),
        keras.layers.Flatten(),
        keras_ff.layers.CAWDense(100, 10, dropout=0.0),
        keras_ff.layers.CAWDense(100, 10, dropout=0.0),
    ]
)
model.compile(keras.optimizers.SGD(0.05, momentum=0.9))
backup = keras_ff.callbacks.Backup(os.path.join(folder, "backup"))
begin = backup.restore(model)
if rank == 0:
    print("begins with epoch", begin + 1)
model.fit(
    *train,
    batch_size=128,
    epochs=epochs,
    initial_epoch=begin,
    validation_data=validation,
    verbose=0,
    callbacks=[keras.callbacks.LambdaCallback(on_epoch_begin=die), backup],
)
if rank == 0:
    print("val_accuracy", round(backup.history()["val_accuracy"][-1], 4))
    model.save(os.path.join(folder, "model.keras"))
"""

folder = pathlib.Path(tempfile.mkdtemp())
(folder / "train.py").write_text(script)
epochs = 2 if "GUIDE_EPOCHS" in os.environ else 5


def run(name, *command, dies_in=-1):
    """Runs the script by a command; returns what it wrote as errors."""
    (folder / name).mkdir(exist_ok=True)
    arguments = [folder / "train.py", folder / name, epochs, dies_in]
    done = subprocess.run(
        [sys.executable, *command, *map(str, arguments)],
        capture_output=True,
        text=True,
        # Over loopback only: all processes are here.
        env={**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"},
    )
    print(done.stdout)
    return done.stderr


run("one")

"""
## Two processes, one of which dies

`torchrun` starts the processes, here two on this machine; on several machines
it is the same command with `--nnodes` and the address of the first one.

The second process is killed at the beginning of the second epoch. The first
one ends at once, by an error that says so or by `torchrun`: it would wait for
the other's gradients for ever.
(`python -m torch.distributed.run` is what `torchrun` calls.)
"""

torchrun = ["-m", "torch.distributed.run", "--nproc-per-node", "2"]
torchrun += ["--standalone", "--local-addr", "127.0.0.1"]
errors = run("two", *torchrun, dies_in=1)
# Unless torchrun ends it before it says so.
print(*set(re.findall(r"Process \d of \d lost touch[^(]*", errors)))

"""
The same command goes on from the last whole epoch. `Backup` is given to all
processes; the first one writes, and all restore.
"""

run("two", *torchrun)


def difference(a, b):
    pairs = zip(a.get_weights(), b.get_weights())
    return max(float(abs(x - y).max()) for x, y in pairs)


one, two = (
    keras.saving.load_model(folder / name / "model.keras")
    for name in ("one", "two")
)
print(f"largest difference of a weight: {difference(one, two):.0e}")

"""
That is round-off: two halves of a batch are added up in another order. The
gradients of a layer travel while the next layer computes.

## Layers side by side

In a `LayerParallel` scope the layers are cut into stages, each with a device of
its own; on a CPU each has its part of the cores. While one stage learns from a
batch, the stage before learns from the next batch.
"""

train, validation, test = keras_ff.datasets.load_arrays("digits")


def trained(stages=None):
    keras.utils.set_random_seed(0)
    model = keras.models.clone_model(one)
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9))
    options = dict(batch_size=128, epochs=epochs, verbose=0)
    if stages is None:
        model.fit(*train, **options)
    else:
        with keras_ff.distribution.LayerParallel(stages=stages).scope():
            model.fit(*train, **options)
    return model


in_turn, side_by_side = trained(), trained(stages=2)
print("accuracy:", side_by_side.evaluate(*test, verbose=0, return_dict=True))
print(f"largest difference: {difference(in_turn, side_by_side):.0e}")

"""
These layers are far too small to gain time. What stages gain where layers are
large, and what it costs to send features instead of weights:
[docs/scaling.md](../docs/scaling.md).

## Where to go next

- `examples/caw_conv.py --devices 2` trains real images in two processes.
- `examples/ray_train.py` lets Ray start the workers, and start them again.
"""
