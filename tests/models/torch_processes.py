"""Trains on two processes of PyTorch what one process trains, too.

A program of its own, `python torch_processes.py FOLDER`: it forks before any
thread starts, and writes `FOLDER/found.json`.
"""

import json
import multiprocessing
import os
import pathlib
import random
import sys
import time
import traceback
import warnings

import keras
import numpy as np
import torch
from tiny_models import caw_dense
from tiny_models import data
from tiny_models import dense_block
from tiny_models import dense_model
from tiny_models import numpy
from tiny_models import rich_model

import keras_ff

SIZE = 2
# The last batch has one sample: none for the second process.
SAMPLES, BATCH = 49, 16


def main(folder):
    # All are forked before PyTorch has threads here, which no fork survives.
    context = multiprocessing.get_context("fork")
    turn = context.Event()
    working = start(context, work, folder)
    dying = start(context, die, folder, turn)
    alone = {name: row() for name, row in ROWS.items()}
    end(working)
    turn.set()
    end(dying)
    found = [
        json.loads((folder / f"{rank}.json").read_text())
        for rank in range(SIZE)
    ]
    if any("error" in run for run in found):
        raise SystemExit(1)
    first, second = (run["rows"] for run in found)
    rows = {
        name: {
            "ranks": distance(first[name], second[name]),
            "one": distance(alone[name], first[name]),
        }
        for name in ROWS
    }
    others = {
        name: [run["others"][name] for run in found]
        for name in found[0]["others"]
    }
    others["died"] = json.loads((folder / "died.json").read_text())
    text = json.dumps({"rows": rows, **others})
    (folder / "found.json").write_text(text)


def start(context, function, *args):
    processes = [
        context.Process(target=function, args=(rank, *args))
        for rank in range(SIZE)
    ]
    for process in processes:
        process.start()
    return processes


def end(processes):
    for process in processes:
        process.join(100)
        process.kill()


def join(rank, folder, name):
    torch.distributed.init_process_group(
        "gloo",
        init_method=f"file://{folder}/{name}",
        rank=rank,
        world_size=SIZE,
    )


def work(rank, folder):
    join(rank, folder, "work")
    found = {"rows": {}, "others": {}}
    try:
        for name, row in ROWS.items():
            found["rows"][name] = row(seed=3 + rank)
        for other in OTHERS:
            found["others"][other.__name__] = other(rank, folder)
    except BaseException:
        found = {"error": traceback.format_exc()}
        print(rank, found["error"], file=sys.stderr, flush=True)
    (folder / f"{rank}.json").write_text(json.dumps(found))


def distance(a, b):
    """The largest difference of the numbers of two nested lists or dicts."""
    a, b = keras.tree.flatten(a), keras.tree.flatten(b)
    assert len(a) == len(b), (len(a), len(b))
    return float(np.max(np.abs(np.subtract(a, b))))


def trained(make, optimizer=None, loss=None, weights=False, **options):
    """A function that trains a model and gives its numbers and logs."""

    def row(seed=3):
        # Other processes begin with other weights.
        set_seed(seed)
        model = make()
        model.compile(
            optimizer=(optimizer or momentum)(),
            loss=loss and loss(),
            weighted_metrics=["accuracy"],
        )
        x, y = data(SAMPLES)
        given = {**options}
        if weights:
            given["sample_weight"] = np.linspace(0, 2, SAMPLES)
        history = model.fit(
            x,
            y,
            batch_size=BATCH,
            epochs=3,
            verbose=0,
            **{"validation_data": data(33, seed=1), **given},
        ).history
        tested = model.evaluate(x, y, verbose=0, return_dict=True)
        return [
            [numpy(v).tolist() for v in model.weights[:-2]],
            {k: v for k, v in history.items()},
            tested,
            model.contribution.weights.tolist(),
        ]

    return row


def set_seed(seed):
    """As Keras does, which would import TensorFlow to seed it, too."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def momentum():
    return keras.optimizers.SGD(0.2, momentum=0.9)


def regularized(**options):
    return keras_ff.models.ForwardOnlyModel(
        [
            keras.Input((5,)),
            dense_block(
                "local_0",
                kernel_regularizer=keras.regularizers.L2(0.01),
                activity_regularizer=keras.regularizers.L2(0.01),
                objectives=[keras_ff.objectives.HSIC(0.1)]
                if options.pop("objective", False)
                else (),
            ),
            caw_dense("local_1", dropout=0.0),
        ],
        layer_metrics=True,
        **options,
    )


def loss_aware(source="training", **options):
    contribution = keras_ff.contributions.LossAware(source)
    return dense_model(contribution=contribution, layer_metrics=True, **options)


def crossentropy(reduction):
    return lambda: keras_ff.losses.LocalCrossentropy(reduction=reduction)


ROWS = {
    "contribution of training": trained(loss_aware, shuffle=False),
    "clipped, AdamW": trained(
        lambda: loss_aware("validation", layer_clipnorm=0.05),
        lambda: keras.optimizers.AdamW(0.02),
        shuffle=False,
    ),
    "intervals": trained(
        lambda: regularized(contribution=keras_ff.contributions.Interval())
    ),
    "weights": trained(regularized, weights=True, shuffle=False),
    "sum": trained(
        lambda: loss_aware(),
        lambda: keras.optimizers.SGD(0.01),
        loss=crossentropy("sum"),
        weights=True,
        shuffle=False,
    ),
    "mean with weights": trained(
        lambda: loss_aware(),
        loss=crossentropy("mean_with_sample_weight"),
        weights=True,
        shuffle=False,
    ),
}


def deep_supervision():
    inputs = keras.Input((5,))
    x = keras.layers.Dense(6, activation="relu")(inputs)
    goodness = [keras_ff.layers.GoodnessProjection(3)(x)]
    x = keras.layers.Dense(6, activation="relu")(x)
    goodness.append(keras_ff.layers.GoodnessProjection(3)(x))
    return keras_ff.models.DeepSupervisionModel(inputs, goodness)


ROWS["deep supervision"] = trained(deep_supervision, shuffle=False)


def forward_forward():
    return keras_ff.models.ForwardForwardModel(
        [keras.Input((5,)), *[keras_ff.layers.FFDense(6) for _ in range(2)]],
        num_classes=3,
    )


class Batches(keras.utils.PyDataset):
    """Batches of a `PyDataset` of one's own, the last one small."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        rows = slice(index * BATCH, (index + 1) * BATCH)
        return tuple(array[rows] for array in data(SAMPLES))


class Loader(torch.utils.data.IterableDataset):
    """A stream that has its end when it comes."""

    def __init__(self, batches):
        self.batches = batches

    def __iter__(self):
        for i in range(self.batches):
            yield tuple(map(torch.as_tensor, data(4, seed=i)))


def loader(rank):
    x, y = map(torch.as_tensor, data(SAMPLES))
    dataset = torch.utils.data.TensorDataset(x, y)
    sampler = torch.utils.data.DistributedSampler(dataset, seed=7)
    return torch.utils.data.DataLoader(dataset, BATCH, sampler=sampler)


def alike(rank, folder):
    """Numbers that are the same in both processes, whatever they train."""
    found = {}
    for name, make, x in (
        ("batch normalization", rich_model, Batches()),
        ("forward-forward", forward_forward, Batches()),
        ("sampler", dense_model, loader(rank)),
        ("streams of 3 and 5", dense_model, stream(3 + 2 * rank)),
    ):
        set_seed(rank)
        model = make()
        model.compile(momentum())
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            history = model.fit(x, epochs=2, verbose=0).history
        model.train_on_batch(*data(4 + rank, seed=rank))
        found[name] = [
            [numpy(v).tolist() for v in model.variables],
            history,
            sum("leaves out the rest" in str(w.message) for w in said),
        ]
    return found


def stream(batches):
    return torch.utils.data.DataLoader(Loader(batches), batch_size=None)


def one_batch(x, y):
    return torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(*map(torch.as_tensor, (x, y))), len(y)
    )


def unsound(rank, folder):
    """What is said of a bad batch of the second process, and what moved."""
    found = {}
    for name, index, value in (("label", 1, 77), ("sample", 0, np.nan)):
        set_seed(rank)
        model = dense_model()
        model.compile(keras.optimizers.SGD(0.1, momentum=0.9))
        x, y = data(16, seed=rank)
        model.fit(one_batch(x, y), verbose=0)
        before = [numpy(v) for v in model.weights]
        if rank:
            (x, y)[index][5] = value
        message = refusal(lambda: model.fit(one_batch(x, y), verbose=0))
        moved = [
            float(np.abs(numpy(v) - old).max())
            for v, old in zip(model.weights, before)
            if v.trainable
        ]
        found[name] = [message, max(moved)]
    return found


def refusal(call):
    try:
        call()
    except (ValueError, TypeError, RuntimeError) as error:
        return f"{type(error).__name__}: {error}"


def in_stages(call):
    with keras_ff.distribution.LayerParallel(stages=1).scope():
        return call()


def refused(rank, folder):
    """What is said of what two processes cannot train together."""
    set_seed(0)

    def fit(x, y, units=6, rate=0.1, **options):
        model = keras_ff.models.ForwardOnlyModel(
            [keras.Input((5,)), dense_block("local_0", units)]
        )
        model.compile(keras.optimizers.SGD(rate))
        return refusal(lambda: model.fit(x, y, verbose=0, **options))

    x, y = data(16)
    wrong = y.copy()
    wrong[3] = (y[3] + 1) % 3
    loaders = one_batch(x, y), torch.utils.data.DataLoader([0, 1, 2])
    model = dense_model()
    model.compile(momentum())
    other = dense_model()
    other.compile(momentum())
    model.set_weights([rank + w for w in other.get_weights()])
    return {
        "labels": fit(x, [y, wrong][rank]),
        "samples": fit([x, x + 1][rank], y),
        "batch of one": fit(x, y, batch_size=1),
        "units": fit(x, y, units=6 + rank),
        "rate": fit(x, y, rate=0.1 + rank),
        "epochs": fit(x, y, epochs=1 + rank),
        "lengths": fit(loaders[rank], None),
        "one refuses": fit(x, y[: 16 - rank]),
        "DDP": refusal(
            lambda: torch.nn.parallel.DistributedDataParallel(model)
        ),
        "evaluate": refusal(lambda: model.evaluate(x, y, verbose=0)),
        "stages": in_stages(lambda: fit(x, y)),
    }


def backed_up(rank, path, epochs, *callbacks):
    """Trains on from a backup; returns what it was trained to."""
    set_seed(rank)
    model = loss_aware()
    model.compile(momentum())
    backup = keras_ff.callbacks.Backup(path)
    begun = backup.restore(model)
    model.fit(
        *data(SAMPLES),
        batch_size=BATCH,
        epochs=epochs,
        initial_epoch=begun,
        verbose=0,
        callbacks=[*callbacks, backup],
    )
    weights = [numpy(v).tolist() for v in model.variables]
    return [begun, weights, backup.history()]


def resumed(rank, folder):
    monitor = keras_ff.callbacks.LocalLearningMonitor(folder / "logs", 0)
    backed_up(rank, folder / "stopped", 2, monitor)
    return [
        backed_up(rank, folder / "straight", 4),
        backed_up(rank, folder / "stopped", 4),
    ]


def die(rank, folder, turn):
    """The second process dies in the third epoch; what the first one says."""
    turn.wait()
    join(rank, folder, "die")

    def dies(epoch, logs):
        if epoch == 2 and rank:
            os._exit(9)

    dying = keras.callbacks.LambdaCallback(on_epoch_begin=dies)
    started = time.perf_counter()
    message = refusal(lambda: backed_up(rank, folder / "died", 4, dying))
    seconds = time.perf_counter() - started
    backup = keras_ff.callbacks.Backup(folder / "died")
    model = loss_aware()
    model.compile(momentum())
    found = [message, seconds, backup.restore(model)]
    (folder / "died.json").write_text(json.dumps(found))
    # Not waiting for what the group still does.
    os._exit(0)


OTHERS = [alike, unsound, refused, resumed]

if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
