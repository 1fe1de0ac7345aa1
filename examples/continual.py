"""Tasks one after another, and few labels: local learning beside backprop.

    python examples/continual.py tasks --output runs/tasks
    python examples/continual.py tasks --dataset cifar10 --output runs/cifar10
    python examples/continual.py labels --output runs/labels

`tasks`: five tasks of two classes, one after another, without replay. A model
of prototypes grows with them (`keras_ff.models.add_classes`), and is asked
for all classes seen so far (class-incremental). A dense network learns by HFF,
every layer by itself, or by backpropagation from one head of prototypes:

- `fit`: new prototypes start at class means, and all is trained on the task.
- `slow`: as `fit`, but a hundredth of the learning rate after the first task.
- `means`: layers learn the first task alone; prototypes are class means.
- `untrained`: nothing is trained; prototypes are class means.
- `joint`: all classes at once, as many updates: what `fit` would be if it
  forgot nothing.

`labels`: 10, 100 or 1000 labeled images a class, by HFF, CAW-Conv's
assignment and backpropagation of the same network; each with the learning
rate, of three, that is best on validation data with the first seed.

A finished run is kept; the same command goes on after an interruption. Writes
`continual.json` and a table.
"""

import argparse

import keras
import numpy as np

import keras_ff
from examples.common import folder
from examples.common import options
from examples.common.spread import mean_and_spread
from examples.common.study import run_all

WAYS = ("fit", "slow", "means", "untrained", "joint")
LEARNERS = ("hff", "backprop")
BATCH_SIZE = 100
# Epochs by the number of labels a class: 80, 120 and 300 updates.
EPOCHS = {10: 80, 100: 12, 1000: 3}
METHODS = ("prototype", "caw", "backprop")
RATES = (0.3, 1.0, 3.0)
CLASSES_A_TASK = 2
RATE = 1e-3
UNITS = (250, 250, 250)
EMBEDDING = 64


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("study", choices=STUDIES)
    add("--dataset", choices=options.DATASETS, default="fashion_mnist")
    add("--data-dir", help="folder of prepared TFDS data")
    add("--seeds", nargs="+", type=options.seed, default=[0, 1, 2])
    add(
        "--images",
        type=options.positive_int,
        default=500,
        help="labeled images a class, of `tasks`",
    )
    add(
        "--labels",
        nargs="+",
        type=int,
        choices=EPOCHS,
        default=list(EPOCHS),
        help="labeled images a class, of `labels`",
    )
    add(
        "--epochs",
        type=options.positive_int,
        default=2,
        help="a task, of `tasks`",
    )
    add("--output", type=options.folder, required=True)
    return parser.parse_args()


# === Tasks one after another ===


def first_model(learner, input_shape, num_classes):
    """A compiled dense network with heads of prototypes."""
    start = [
        keras.Input(input_shape),
        keras.layers.LayerNormalization(
            axis=list(range(1, len(input_shape) + 1)), center=False, scale=False
        ),
        keras.layers.Flatten(),
    ]
    if learner == "hff":
        layers = [
            keras_ff.layers.PrototypeDense(
                units, num_classes, embedding_size=EMBEDDING
            )
            for units in UNITS
        ]
    else:
        # One local layer of all: its gradient goes from end to end.
        parts = []
        for units in UNITS:
            parts += [
                keras.layers.Dense(
                    units, activation="relu", kernel_initializer="he_normal"
                ),
                keras.layers.RMSNormalization(epsilon=1e-5, trainable=False),
            ]
        embedding = keras.layers.Dense(EMBEDDING, use_bias=False)
        layers = [
            keras_ff.layers.LocalBlock(
                parts[:-1],
                keras_ff.layers.HypersphericalPrototypes(
                    num_classes, embedding=embedding
                ),
            )
        ]
    model = keras_ff.models.ForwardOnlyModel([*start, *layers])
    model.compile(
        keras.optimizers.Adam(RATE), loss=keras_ff.losses.SmoothMarginLoss()
    )
    return model


def learn_tasks(model, way, train, epochs, evaluate):
    """Learns the classes two by two.

    Args:
        model: of the first two classes, or of all (`"joint"`).
        way: one of `WAYS`.
        train: pair of arrays.
        epochs: int, of every task.
        evaluate: function of the model and the number of classes seen, called
            after every task.

    Returns:
        List of what it gave.
    """
    x, y = train
    num_classes = int(y.max()) + 1
    found = []
    for seen in range(CLASSES_A_TASK, num_classes + 1, CLASSES_A_TASK):
        if way == "joint":
            # As many updates: an epoch has the images of all tasks.
            seen = num_classes
            task = np.full(len(y), True)
        else:
            task = (y >= seen - CLASSES_A_TASK) & (y < seen)
        if model.num_classes < seen:
            model = keras_ff.models.add_classes(model, CLASSES_A_TASK)
        first = seen == CLASSES_A_TASK
        if way == "slow" and not first:
            model.optimizer.learning_rate = RATE / 100
        fits = way in ("fit", "slow", "joint")
        if fits:
            keras_ff.models.adapt_prototypes(model, x[task], y[task])
        if fits or (way == "means" and first):
            model.fit(
                x[task],
                y[task],
                batch_size=BATCH_SIZE,
                epochs=epochs,
                verbose=0,
            )
        if not fits:
            keras_ff.models.adapt_prototypes(model, x[task], y[task])
        found.append(evaluate(model, seen))
        if way == "joint":
            break
    return found


def by_task(test):
    """A function `(model, classes seen) -> accuracy of every task seen`."""
    x, y = test

    def evaluate(model, seen):
        shown = y < seen
        scores = model.predict(x[shown], batch_size=500, verbose=0)
        right = scores.argmax(axis=-1) == y[shown]
        tasks = y[shown] // CLASSES_A_TASK
        return [float(right[tasks == k].mean()) for k in range(tasks.max() + 1)]

    return evaluate


def mean_accuracies(found):
    """The mean over all tasks seen, after every task."""
    return [float(np.mean(row)) for row in found]


def forgetting(found):
    """How much better old tasks once were than at the end, the mean."""
    *before, last = found
    if not before:
        return None
    return float(
        np.mean(
            [
                max(row[k] for row in before[k:]) - last[k]
                for k in range(len(before))
            ]
        )
    )


def run_tasks(variant, seed, flags, data):
    learner, way = variant.split(", ")
    train, _, test = data
    chosen = of_every_class(train[1], flags.images, seed)
    num_classes = int(train[1].max()) + 1
    model = first_model(
        learner,
        train[0].shape[1:],
        num_classes if way == "joint" else CLASSES_A_TASK,
    )
    found = learn_tasks(
        model,
        way,
        (train[0][chosen], train[1][chosen]),
        flags.epochs,
        by_task(test),
    )
    return {
        "accuracies": found,
        "test_accuracy": mean_accuracies(found)[-1],
        "mean_accuracies": mean_accuracies(found),
        "forgetting": forgetting(found),
    }


# === Few labels ===


def run_labels(variant, seed, flags, data):
    method, labels, rate = variant.split(", ")
    labels, rate = int(labels.split()[0]), float(rate.split()[1])
    method = keras_ff.methods.get(method)
    (x, y), (x_val, y_val), test = data
    chosen = of_every_class(y, labels, seed)
    epochs = EPOCHS[labels]
    first, last = method.learning_rate
    schedule = keras.optimizers.schedules.CosineDecay(
        rate * first, epochs * -(-len(chosen) // BATCH_SIZE), last / first
    )
    layer_options, model_options = {}, {}
    if method.name == "prototype":
        layer_options["embedding_size"] = EMBEDDING
    if method.name == "caw":
        # Nothing held out is needed for training.
        model_options["contribution"] = keras_ff.contributions.LossAware(
            source="training"
        )
    model = keras_ff.applications.mlp(
        x.shape[1:],
        int(y.max()) + 1,
        method=method,
        units=UNITS,
        layer_options=layer_options,
        model_options=model_options,
    )
    model.compile(
        method.optimizer(schedule), loss=method.loss(), metrics=["accuracy"]
    )
    model.fit(
        x[chosen], y[chosen], batch_size=BATCH_SIZE, epochs=epochs, verbose=0
    )

    def accuracy(x, y):
        return model.evaluate(
            x, y, batch_size=500, verbose=0, return_dict=True
        )["accuracy"]

    return {
        "val_accuracy": accuracy(x_val[:1000], y_val[:1000]),
        "test_accuracy": accuracy(*test),
    }


def chosen_rates(results):
    """By method and labels, the rate best on validation, and its runs."""
    first = str(results["settings"]["seed_of_rates"])
    found = {}
    for variant, runs in results["runs"].items():
        method, labels, rate = variant.split(", ")
        if first in runs:
            best = found.get((method, labels))
            validation = runs[first]["val_accuracy"]
            if best is None or validation > best[0]:
                found[method, labels] = validation, rate, runs
    return {key: (rate, runs) for key, (_, rate, runs) in found.items()}


# === Both ===


STUDIES = {"tasks": run_tasks, "labels": run_labels}


def of_every_class(y, number, seed):
    """Numbers of samples, so many of every class, drawn by the seed."""
    order = np.random.default_rng(seed).permutation(len(y))
    return np.sort(
        np.concatenate(
            [order[y[order] == k][:number] for k in range(y.max() + 1)]
        )
    )


def variants(flags, seed, results):
    """What is to be run with a seed."""
    if flags.study == "tasks":
        return [f"{learner}, {way}" for way in WAYS for learner in LEARNERS]
    if seed != flags.seeds[0]:
        chosen = chosen_rates(results).items()
        return [
            f"{method}, {labels}, {rate}"
            for (method, labels), (rate, _) in chosen
        ]
    return [
        f"{method}, {labels} labels, rate {rate}"
        for labels in flags.labels
        for method in METHODS
        for rate in RATES
    ]


def study(flags):
    """All runs of the flags."""
    settings = {"study": flags.study, "dataset": flags.dataset}
    if flags.study == "tasks":
        settings.update(images=flags.images, epochs=flags.epochs)
    else:
        settings["seed_of_rates"] = flags.seeds[0]
    data = keras_ff.datasets.load_arrays(flags.dataset, flags.data_dir)

    def train(variant, seed):
        keras.utils.clear_session()
        keras.utils.set_random_seed(seed)
        return STUDIES[flags.study](variant, seed, flags, data)

    return run_all(
        flags.output / "continual.json",
        settings,
        flags.seeds,
        lambda seed, results: variants(flags, seed, results),
        train,
    )


def table(results):
    """Mean and standard deviation over seeds, in percent."""
    lines = []
    if results["settings"]["study"] == "tasks":
        for variant, runs in results["runs"].items():
            runs = runs.values()
            steps = zip(*(run["mean_accuracies"] for run in runs))
            accuracies = "  ".join(map(_percent, steps))
            lines.append(f"{variant:20}{accuracies}")
            if all(run["forgetting"] is not None for run in runs):
                lost = _percent([run["forgetting"] for run in runs])
                lines[-1] += f"  forgotten {lost}"
    else:
        for (method, labels), (rate, runs) in chosen_rates(results).items():
            values = [run["test_accuracy"] for run in runs.values()]
            lines.append(f"{method:12}{labels:14}{_percent(values)}  ({rate})")
    return "\n".join(lines)


def _percent(shares):
    return mean_and_spread([100 * share for share in shares], decimals=1)


def main():
    flags = parse_arguments()
    with folder.held(flags.output):
        print(table(study(flags)))


if __name__ == "__main__":
    main()
