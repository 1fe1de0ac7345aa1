"""The loop that trains an exported model, in LiteRT and NumPy alone."""

import os
import warnings
from typing import Any

import numpy as np

from keras_ff.checks import check_integer
from keras_ff.checks import check_number
from keras_ff.device.batch_rules import BatchRules
from keras_ff.device.program import Program
from keras_ff.device.program import run_in
from keras_ff.device.training_folder import EPOCH
from keras_ff.device.training_folder import LEARNING_RATE
from keras_ff.device.training_folder import PROGRESS
from keras_ff.device.training_folder import STEP
from keras_ff.device.training_folder import WEIGHTS
from keras_ff.device.training_folder import read_manifest
from keras_ff.device.training_folder import read_weights
from keras_ff.device.training_folder import write_weights


class LiteRTTrainer:
    """Trains, evaluates and predicts with an exported model, on a device.

    It takes the folder that `keras_ff.export_training` wrote and needs LiteRT
    (`ai-edge-litert`) and NumPy, neither Keras nor TensorFlow. The local step
    is the loop of `train_on_batch`: one program a layer, one after another,
    of which one is in memory at a time.

    A batch that is not sound (a wrong shape, a label that is no class, NaN)
    raises an error and changes no weight of any layer.

    Args:
        path: path of the folder.
        weights: path of the file of weights that it starts from, if it is
            there, and that it writes. Defaults to `None`, `weights.npz` of
            the folder, whose exported weights are overwritten then. Give
            another file to keep them.
        seed: int, for the order of the samples and for dropout. Defaults to
            `0`.
        num_threads: int, how many threads a program runs on. Defaults to
            `None`, LiteRT's choice.

    Attributes:
        batch_size: int, how many samples a batch of training has.
        epoch: int, how many epochs of training are finished, those before
            the export among them.
        learning_rate: float, which can be set. `None` where a schedule sets
            it.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if the folder or the weights are damaged, not whole or of
            another version.
        ModuleNotFoundError: if LiteRT is not installed.

    Example:

    ```python
    trainer = keras_ff.device.LiteRTTrainer("model", weights="learned.npz")
    trainer.fit(x, y, epochs=trainer.epoch + 1)
    trainer.evaluate(x_test, y_test)  # {"loss": ..., "accuracy": ...}
    ```
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        weights: str | os.PathLike[str] | None = None,
        seed: int = 0,
        num_threads: int | None = None,
    ) -> None:
        self._path = os.fspath(path)
        self._manifest = read_manifest(self._path)
        exported = os.path.join(self._path, WEIGHTS)
        self._file = exported if weights is None else os.fspath(weights)
        there = os.path.exists(self._file)
        self._values = read_weights(
            self._file if there else exported, self._manifest
        )
        self.epoch, self._batch = (self._values.pop(k) for k in PROGRESS)
        self._rules = BatchRules(self._manifest)
        self._seed = seed
        self._num_threads = num_threads
        self._open = None, None

    @property
    def batch_size(self) -> int:
        return self._rules.batch_size

    @property
    def learning_rate(self) -> float | None:
        value = self._values.get(LEARNING_RATE)
        return None if value is None else float(value)

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        if LEARNING_RATE not in self._values:
            raise ValueError(
                "The learning rate of this optimizer follows a schedule. "
                f"Received: learning_rate={value}"
            )
        value = check_number("learning_rate", value)
        self._values[LEARNING_RATE] = np.asarray(value, "float32")

    def weights(self) -> dict[str, np.ndarray]:
        """Dict from names to arrays: weights, optimizer, contribution."""
        return dict(self._values)

    def set_weights(self, values: dict[str, Any]) -> None:
        """Takes weights, some or all, from a dict as `weights` gives it."""
        taken = {}
        for name, value in values.items():
            old, value = self._values.get(name), np.asarray(value)
            if old is None or old.shape != value.shape:
                raise ValueError(
                    f"There is no weight {name!r} of shape {value.shape}. No "
                    "weight was changed."
                )
            if value.dtype.kind == "f" and not np.isfinite(value).all():
                raise ValueError(
                    f"Weights must be finite. Received: NaN or infinity in "
                    f"{name!r}. No weight was changed."
                )
            taken[name] = value.astype(old.dtype)
        self._values.update(taken)

    def save(self) -> None:
        """Writes the weights and how far the training is.

        The file is whole at any moment: a device that is killed meanwhile
        keeps the one before.
        """
        progress = dict(zip(PROGRESS, (self.epoch, self._batch)))
        write_weights(self._file, {**self._values, **progress}, self._manifest)

    def fit(
        self,
        x: Any,
        y: Any,
        sample_weight: Any = None,
        epochs: int | None = None,
        shuffle: bool = True,
        save_every: int | None = None,
    ) -> list[dict[str, float]]:
        """Trains, and saves the weights after every epoch.

        A training that was killed goes on where its last file of weights was
        written, if `fit` is called again with the same arguments. All batches
        have the same number of samples; those that are left at the end of an
        epoch wait for the next, in which they come in another order.

        Args:
            x: samples, an array or a list of arrays, one an input.
            y: labels.
            sample_weight: one number a sample. Defaults to `None`, ones.
            epochs: int, how many epochs are finished at the end: a total, with
                those before this call and before the export. Two more are
                `epochs=trainer.epoch + 2`. Defaults to `None`, one more.
            shuffle: bool. Defaults to `True`.
            save_every: int, after how many batches the weights are saved,
                too. Defaults to `None`, at the end of epochs only.

        Returns:
            List of dicts, the mean loss and the accuracy of every epoch. It is
            empty, with a warning, if `epochs` were finished before.
        """
        if epochs is not None:
            check_integer("epochs", epochs, 1)
        if save_every is not None:
            check_integer("save_every", save_every, 1)
        x = self._rules.samples(x)
        size, samples = self.batch_size, len(x[0])
        y = self._rules.labels(y, samples)
        sample_weight = self._rules.weights(sample_weight, samples)
        if samples < size:
            raise ValueError(
                f"The programs take batches of {size} samples. Received: "
                f"{samples} samples"
            )
        last = self.epoch + 1 if epochs is None else epochs
        if last <= self.epoch:
            warnings.warn(
                f"Nothing is trained: {self.epoch} epochs are finished, those "
                "before the export among them, and `epochs` is a total. Two "
                "more are `epochs=trainer.epoch + 2`. Received: "
                f"epochs={epochs}",
                stacklevel=2,
            )
        history = []
        while self.epoch < last:
            self._values[EPOCH] = np.asarray(self.epoch, "float32")
            order = np.arange(samples)
            if shuffle:
                random = np.random.default_rng([self._seed, self.epoch])
                order = random.permutation(samples)
            logs = []
            while (self._batch + 1) * size <= samples:
                rows = order[self._batch * size : (self._batch + 1) * size]
                logs.append(
                    self.train_on_batch(
                        [array[rows] for array in x],
                        y[rows],
                        sample_weight[rows],
                    )
                )
                self._batch += 1
                if save_every and self._batch % save_every == 0:
                    self.save()
            self.epoch, self._batch = self.epoch + 1, 0
            self.save()
            if logs:
                history.append(
                    {
                        key: float(np.mean([log[key] for log in logs]))
                        for key in logs[0]
                    }
                )
        return history

    def train_on_batch(
        self, x: Any, y: Any, sample_weight: Any = None
    ) -> dict[str, float]:
        """Trains every layer on a batch.

        Args:
            x, y, sample_weight: a batch, of `batch_size` samples.

        Returns:
            Dict: the loss and the accuracy (of regression the mean absolute
            error) of the batch before the step.

        Raises:
            ValueError: if the batch is not sound. No weight is changed.
        """
        x = self._rules.samples(x)
        self._check_size(x)
        y = self._rules.labels(y, len(x[0]))
        told = {
            "labels": y,
            "sample_weight": self._rules.weights(sample_weight, len(y)),
            "epoch": self._values[EPOCH],
        }
        tensors = dict(zip(self._names("inputs"), x))
        changed, goodness, loss = {}, {}, 0.0
        for layer in self._manifest["layers"]:
            found = self._train_layer(
                layer, {**told, **self._taken(layer, tensors)}
            )
            if not np.isfinite(found["loss"]):
                raise ValueError(
                    f"The loss of layer {layer['name']!r}, or its gradient, is "
                    f"not finite: {found['loss']}. No weight was changed. Look "
                    "at the batch, or lower the learning rate."
                )
            loss += float(found["loss"])
            goodness[layer["index"]] = found["goodness"]
            for kind in ("weight", "state"):
                for i, name in enumerate(layer[f"{kind}s"]):
                    if f"{kind}_{i}" in found:
                        changed[name] = found[f"{kind}_{i}"]
            given = (found[f"features_{i}"] for i in range(len(layer["gives"])))
            tensors.update(zip(layer["gives"], given))
            tensors = {name: tensors[name] for name in layer["alive"]}
        self._values.update(changed)
        prediction = self._combined(goodness)
        return {"loss": loss, **self._metric(prediction, y)}

    def _train_layer(self, layer, given):
        for kind in ("weight", "state"):
            given.update(
                (f"{kind}_{i}", self._values[name])
                for i, name in enumerate(layer[f"{kind}s"])
            )
        if layer["noise"]:
            # Drawn anew in every step, and again where a step is repeated.
            random = np.random.default_rng(
                [self._seed, int(self._values.get(STEP, 0)), layer["index"]]
            )
            given.update(
                (f"noise_{i}", random.random(shape, "float32"))
                for i, shape in enumerate(layer["noise"])
            )
        return run_in(self._program(layer["program"]), "train", given)

    @staticmethod
    def _taken(layer, tensors):
        return {
            f"features_{i}": tensors[name]
            for i, name in enumerate(layer["takes"])
        }

    def evaluate(
        self, x: Any, y: Any, sample_weight: Any = None
    ) -> dict[str, float]:
        """The loss and the accuracy of samples, any number of them.

        Returns:
            Dict: the loss, as `keras_ff`'s `evaluate` gives it, and the
            accuracy, of regression the mean absolute error.
        """
        x = self._rules.samples(x)
        samples = len(x[0])
        y = self._rules.labels(y, samples)
        sample_weight = self._rules.weights(sample_weight, samples)
        losses, predictions = [], []
        for rows, number in self._batches(samples):
            weight = sample_weight[rows]
            weight[number:] = 0.0
            if self._manifest["reduction"] == "sum_over_batch_size":
                weight = weight * np.float32(self.batch_size / number)
            found = self._run_model(
                "evaluate",
                [array[rows] for array in x],
                labels=y[rows],
                sample_weight=weight,
            )
            losses.append(float(found["loss"]) * number)
            predictions.append(found["prediction"][:number])
        prediction = np.concatenate(predictions)
        return {"loss": sum(losses) / samples, **self._metric(prediction, y)}

    def predict(self, x: Any, int8: bool = False) -> np.ndarray:
        """The combined goodness of samples: logits, or values.

        Args:
            x: samples, any number of them.
            int8: bool, whether the program with weights in int8 predicts.
                Its weights are those of the export: it knows nothing that the
                device learned since. Defaults to `False`.

        Raises:
            ValueError: if the model was exported without `int8`.
        """
        if not int8:
            return self._run_all(self._run_model, "predict", "prediction", x)
        if not self._manifest["int8"]:
            raise ValueError(
                "The model was exported without a program in int8. Export it "
                "with keras_ff.export_training(..., int8=True)."
            )
        return self._run_all(self._run_int8, "predict", "prediction", x)

    def goodness(self, x: Any) -> np.ndarray:
        """The goodness of every layer, `(samples, layers, num_classes)`."""
        return self._run_all(self._run_model, "goodness", "goodness", x)

    def _run_all(self, run, signature, output, x):
        x = self._rules.samples(x)
        found = [
            run(signature, [array[rows] for array in x])[output][:number]
            for rows, number in self._batches(len(x[0]))
        ]
        return np.concatenate(found)

    def _run_int8(self, signature, x):
        given = {f"features_{i}": array for i, array in enumerate(x)}
        return run_in(self._program(self._manifest["int8"]), signature, given)

    def _run_model(self, signature, x, **told):
        model = self._manifest["model"]
        given = {f"features_{i}": array for i, array in enumerate(x)}
        given.update(
            (f"weight_{i}", self._values[name])
            for i, name in enumerate(model["weights"])
        )
        given.update(told, epoch=self._values[EPOCH])
        return run_in(self._program(model["program"]), signature, given)

    def _batches(self, samples):
        """Rows of full batches, and how many of each are no filling."""
        size = self.batch_size
        for start in range(0, samples, size):
            number = min(size, samples - start)
            rows = start + np.arange(size)
            rows[number:] = start
            yield rows, number

    def _program(self, name):
        """A program, in the place of the one before."""
        if self._open[0] != name:
            self._open = None, None
            path = os.path.join(self._path, name)
            self._open = name, Program(path, num_threads=self._num_threads)
        return self._open[1]

    def _names(self, kind):
        return [entry["name"] for entry in self._manifest[kind]]

    def _check_size(self, x):
        if len(x[0]) != self.batch_size:
            raise ValueError(
                f"The programs take batches of {self.batch_size} samples. "
                f"Received: {len(x[0])}"
            )

    def _combined(self, goodness):
        weights = self._values["contribution"]
        total = sum(weights[i] * goodness[i] for i in goodness)
        if self._manifest["averages"] and weights.sum():
            total = total / weights.sum()
        return total

    def _metric(self, prediction, y):
        task = self._manifest["task"]
        if task == "regression":
            return {"mae": float(np.abs(prediction - y).mean())}
        if task == "multi_label":
            right = (prediction > 0) == (y > 0.5)
        else:
            classes = y if y.ndim == 1 else y.argmax(axis=-1)
            right = prediction.argmax(axis=-1) == classes
        return {"accuracy": float(right.mean())}
