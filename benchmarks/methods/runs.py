"""The trainings of the table: their recipes, their order, their results."""

import json
import shutil
import statistics
import time
from typing import NamedTuple

import keras

import keras_ff
from benchmarks.measure.in_turn import in_turn
from benchmarks.measure.memory import peak_memory
from benchmarks.methods import data
from examples import reproduce
from examples.common import folder
from examples.common import schedule
from examples.recipes import recipes_of

ARCHITECTURE = "whitened_cnn"
TIMED_STEPS = 9
# Why a method has no row; what is not a `keras_ff.methods.Method`, too.
REASONS = {
    "cw": "every class has a group of the layer's own channels, so it has no "
    "head that looks through an auxiliary convolution",
    "forward_forward": "it has no scores of all classes: labels are drawn "
    "into the images of dense layers, see examples/forward_forward.py",
}


class Run(NamedTuple):
    """One training: to choose the learning rate, or for the table."""

    method: str
    tuning: bool
    factor: float
    seed: int

    @property
    def stem(self):
        kind = "tuning-" if self.tuning else ""
        return f"{kind}rate-{self.factor}-seed-{self.seed}"


class Board:
    """All trainings of some flags, and what came out of them.

    Args:
        flags: see `__main__`.
    """

    def __init__(self, flags):
        self.flags = flags
        self.output = flags.output / flags.dataset
        self._speeds = {}
        self.work = flags.work / flags.dataset
        self.methods, self.left_out = {}, dict(REASONS)
        for identifier in flags.methods:
            method = keras_ff.methods.get(identifier)
            if method.makes("auxiliary_head"):
                self.left_out.pop(method.name, None)
                self.methods[method.name] = identifier
            else:
                self.left_out.setdefault(
                    method.name, "it has no head with an auxiliary convolution"
                )

    # === What there is to do ===

    def tuning(self):
        return [
            Run(method, True, factor, 0)
            for method in self.methods
            for factor in self.flags.factors
        ]

    def final(self):
        """Those for the table, a seed of every method before the next seed.

        Methods whose learning rate is not chosen yet have the factor `None`.
        """
        return [
            Run(method, False, self.chosen(method), seed)
            for seed in range(self.flags.seeds)
            for method in self.methods
        ]

    def chosen(self, method):
        """The factor of the best validation accuracy, once all are there."""
        found = self.validated(method)
        if None in found.values():
            return None
        return max(found, key=found.get)

    def validated(self, method):
        """By factor, validation accuracy after the last epoch, or `None`."""
        found = {}
        for factor in self.flags.factors:
            result = self.result(Run(method, True, factor, 0))
            found[factor] = result and result["history"]["val_accuracy"][-1]
        return found

    def epochs(self, run):
        """The length of a run, in epochs."""
        epochs = self.flags.epochs
        if self.flags.minutes is not None:
            speed = self.speed(run.method)
            epochs = schedule.of_minutes(self.flags.minutes, speed)["epochs"]
        share = self.flags.tuning if run.tuning else 1.0
        return max(1, round(share * epochs))

    # === What was done ===

    def path(self, run):
        return self.output / run.method / f"{run.stem}.json"

    def result(self, run):
        path = self.path(run)
        if not path.exists():
            return None
        return folder.read_json(path, ["history", "config"])

    def epochs_done(self, run):
        """The epochs that a restart does not train again."""
        path = self.work / run.method / run.stem / "history.csv"
        if self.result(run):
            return self.epochs(run)
        return len(path.read_text().splitlines()) - 1 if path.exists() else 0

    def claim(self):
        """Refuses a folder with results under other conditions."""
        flags = self.flags
        settings = {
            name: getattr(flags, name)
            for name in (
                *("dataset", "epochs", "minutes", "tuning", "validation"),
                *("samples", "width_multiplier", "dtype"),
            )
        }
        settings["backend"] = keras.backend.backend()
        path = self.output / "settings.json"
        if path.exists():
            folder.refuse_other(path, folder.read_json(path), settings)
        if not flags.dry_run:
            path.parent.mkdir(parents=True, exist_ok=True)
            folder.write_json(path, settings)
        return settings

    # === Training ===

    def recipe(self, run):
        method = self.methods[run.method]
        recipes = recipes_of(method, run.method)
        recipe = recipes[f"{run.method}-{ARCHITECTURE}-{self.flags.dataset}"]
        first, last = recipe["learning_rate"]
        return {
            **recipe,
            "width": 1.0,
            "learning_rate": (run.factor * first, last),
            "validation_split": self.flags.validation,
        }

    def train(self, run):
        """Trains a run, or goes on with it, and writes its result."""
        flags = self.flags
        _forget()
        work = self.work / run.method / run.stem
        metrics = reproduce.train(
            run.method,
            self.recipe(run),
            work,
            epochs=self.epochs(run),
            load_data=data.load,
            data_dir=flags.data_dir,
            width_multiplier=flags.width_multiplier,
            seed=run.seed,
            dtype=flags.dtype,
            samples=flags.samples,
            tests=not run.tuning,
        )
        metrics = {**run._asdict(), **metrics}
        if not run.tuning and run.seed == 0:
            metrics["peak_memory"] = self._peak_memory(run)._asdict()
        self.path(run).parent.mkdir(parents=True, exist_ok=True)
        folder.write_json(self.path(run), metrics)
        if run.tuning:
            # Nobody asks for its weights.
            shutil.rmtree(work)

    def _peak_memory(self, run):
        model, train, _ = self._fresh(run)
        batch = train[0]
        model.train_on_batch(*batch)
        return peak_memory(model, *batch)

    def _fresh(self, run):
        """An untrained model, as the run has it, and its data."""
        _forget()
        keras.utils.set_random_seed(0)
        keras.config.set_dtype_policy(self.flags.dtype)
        recipe = reproduce.settings(self.recipe(run))
        flags = reproduce.data_flags(
            recipe,
            data_dir=self.flags.data_dir,
            samples=self.flags.samples,
            seed=0,
            tests=False,
        )
        train, validation, _ = data.load(flags)
        model = reproduce.build(
            recipe,
            keras_ff.datasets.info(self.flags.dataset),
            self.flags.width_multiplier,
        )
        reproduce.prepare(model, train)
        return model, train, validation

    # === Time ===

    def speed(self, method):
        """What `measured_speed` found, once and for all, of a method."""
        path = self.output / "speeds.json"
        if not self._speeds and path.exists():
            self._speeds = folder.read_json(path)
        if method not in self._speeds:
            print(f"{method}: some steps are timed ...", flush=True)
            fresh = self._fresh(Run(method, True, 1.0, 0))
            self._speeds[method] = schedule.measured_speed(*fresh)
            if not self.flags.dry_run:
                folder.write_json(path, self._speeds)
        return self._speeds[method]

    def rates(self):
        """Images a second of the training steps of the methods with a row.

        Timed in turn, so that all see the same noise of the machine, and once
        and for all: `{"images": of an epoch, "images_per_second": {...}}`.
        """
        path = self.output / "rates.json"
        saved = {"images": 0, "images_per_second": {}}
        if path.exists():
            saved = folder.read_json(path, saved)
        finished = {run.method for run in self.final() if self.result(run)}
        if finished <= set(saved["images_per_second"]):
            return saved
        print("The methods' steps are timed in turn ...", flush=True)
        models = {}
        for method in sorted(finished):
            models[method], train, _ = self._fresh(Run(method, True, 1.0, 0))
        batch = train[0]

        def visit(model):
            start = time.perf_counter()
            # Its logs are numbers, so that it waits for the step.
            model.train_on_batch(*batch)
            return time.perf_counter() - start

        seconds = in_turn(visit, models, repeats=TIMED_STEPS)
        found = {
            "images": len(train) * len(batch[1]),
            "images_per_second": {
                method: len(batch[1]) / statistics.median(values)
                for method, values in seconds.items()
            },
        }
        folder.write_json(path, found)
        return found

    def minutes_left(self, run):
        """As the method's runs took it, or else as some steps do.

        While trainings go on, a method that has none yet is not timed, but
        taken to be like the others.
        """
        left = self.epochs(run) - self.epochs_done(run)
        if not left:
            return 0.0
        seconds = self._finished(run.method)
        if not seconds and self.flags.dry_run:
            speed = self.speed(run.method)
            seconds = [speed["seconds_of_an_epoch"]]
        if not seconds:
            seconds = self._finished("*")
        return left * sum(seconds) / len(seconds) / 60 if seconds else 0.0

    def _finished(self, method):
        """Seconds of an epoch of all its trainings."""
        return [
            json.loads(path.read_text())["median_seconds_of_an_epoch"]
            for path in self.output.glob(f"{method}/*rate-*.json")
        ]


def _forget():
    """Frees the models before, and what JAX compiled for them."""
    keras.utils.clear_session()
    if keras.backend.backend() == "jax":
        import jax

        jax.clear_caches()
