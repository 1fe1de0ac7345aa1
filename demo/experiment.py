"""Trains, evaluates and measures both networks."""

import dataclasses
import statistics

import keras
import numpy as np

import keras_ff
from benchmarks.measure.in_turn import in_turn
from benchmarks.measure.memory import peak_memory
from benchmarks.measure.step_time import step_seconds
from demo import networks
from demo.progress import ShortProgressBar


@dataclasses.dataclass
class Results:
    """What one training gave.

    Attributes:
        model: the trained Keras model.
        history: dictionary of metrics, one number an epoch.
        test: dictionary of metrics on the test images after the last epoch.
        test_images: how many they are.
        weights: the layers' contributions after every epoch.
        shares_before, shares_after: channel-class shares of each layer.
        step_seconds: median time of a training step.
        step_memory: `PeakMemory` of a training step.
    """

    model: keras.Model
    history: dict
    test: dict
    test_images: int
    weights: list = dataclasses.field(default_factory=list)
    shares_before: list = dataclasses.field(default_factory=list)
    shares_after: list = dataclasses.field(default_factory=list)
    step_seconds: float | None = None
    step_memory: object = None


def run(settings):
    """Runs the demo.

    Args:
        settings: a `Settings`.

    Returns:
        Dictionary from `"forward_only"` and `"backprop"` to `Results`.
    """
    print(f"Forward-only training on {keras.backend.backend()}")
    results = {"forward_only": _train_forward_only(settings)}
    print("\nBackpropagation through the same network")
    results["backprop"] = _train_backprop(settings)

    print("\nMeasuring time and memory of a training step")
    train, validation, _ = load(settings)

    def visit(result):
        # The first steps of an epoch warm up.
        return step_seconds(result.model, train, validation_data=validation)[2:]

    repeats = min(3, settings.epochs)
    seconds = in_turn(visit, results, repeats, warm_up=0)
    x, y = next(iter(train))
    for name, result in results.items():
        result.step_seconds = statistics.median(sum(seconds[name], []))
        result.step_memory = peak_memory(result.model, x, y)
    return results


def load(settings):
    """The digits of scikit-learn, in the same batches for everyone."""
    return keras_ff.datasets.load(
        "digits",
        batch_size=settings.batch_size,
        validation_split=settings.validation_split,
        seed=settings.seed,
    )


def fit(model, learning_rate, settings, callbacks=()):
    """Trains a model on the digits.

    Args:
        model: a Keras model that gives logits.
        learning_rate: float, that of the first step.
        settings: a `Settings`.
        callbacks: list of Keras callbacks.

    Returns:
        Tuple `(history, test, test_images)`, as in `Results`.
    """
    splits = load(settings)
    steps = settings.epochs * len(splits.train)
    schedule = keras.optimizers.schedules.CosineDecay(
        learning_rate, steps, alpha=settings.final_learning_rate
    )
    model.compile(
        optimizer=keras.optimizers.AdamW(
            schedule, weight_decay=settings.weight_decay
        ),
        loss=keras_ff.losses.LocalCrossentropy(
            label_smoothing=settings.label_smoothing
        ),
        metrics=["accuracy"],
    )
    history = model.fit(
        splits.train,
        validation_data=splits.validation,
        epochs=settings.epochs,
        shuffle=False,  # The data set does it.
        callbacks=[ShortProgressBar(), *callbacks],
    )
    test = model.evaluate(splits.test, verbose=0, return_dict=True)
    return history.history, test, sum(len(y) for _, y in splits.test)


def _train_forward_only(settings):
    keras.utils.set_random_seed(settings.seed)
    model = networks.forward_only(settings)
    shares_before = _shares(model)
    weights = []
    record = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda *_: weights.append(model.contribution.weights)
    )
    learned = fit(
        model, settings.forward_only_learning_rate, settings, [record]
    )
    return Results(model, *learned, weights, shares_before, _shares(model))


def _train_backprop(settings):
    keras.utils.set_random_seed(settings.seed)
    model = networks.backprop(settings)
    learned = fit(model, settings.backprop_learning_rate, settings)
    return Results(model, *learned)


def _shares(model):
    return [
        np.array(keras.ops.convert_to_numpy(layer.head.shares()))
        for layer in model.local_layers
    ]
