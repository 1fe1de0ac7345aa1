from typing import Any
from typing import NamedTuple

import numpy as np
from keras import ops
from keras import tree

from keras_ff.checks import check_fraction
from keras_ff.models.batches import batches


class EarlyExitPrediction(NamedTuple):
    """What `ForwardOnlyModel.predict_early_exit` returns.

    Attributes:
        predictions: NumPy array of shape `(samples, num_classes)`, each
            sample's combined goodness up to its exit.
        layers_used: NumPy array of shape `(samples,)`, how many local layers
            were computed for each sample.
    """

    predictions: Any
    layers_used: Any


class EarlyExit:
    """Runs samples through the stages of a model until they are decided.

    Undecided samples wait before the next stage until they fill a batch. So
    every stage computes full batches of one size, is compiled once, and no
    more than two batches of features a stage are held. What is left at the
    end is filled up with copies.

    Args:
        stages: list of `Stage`s.
        weights: array, the contribution of every local layer of the model.
        threshold: float, the confidence above which a sample leaves.
        batch_size: int.
        confidence: function from combined goodness `(batch, columns)` to how
            sure it is, from 0 to 1.
    """

    def __init__(self, stages, weights, threshold, batch_size, confidence):
        self._confidence = confidence
        self._stages = stages
        self._weights = weights
        self._threshold = threshold
        self._batch_size = batch_size
        self._layers_used = np.cumsum([s.num_local_layers for s in stages])
        self._waiting = [None] * len(stages)
        self._num_samples = 0
        self._finished = []

    def add(self, tensors):
        """Takes a batch, a dict from the keys of inputs to arrays."""
        size = len(next(iter(tensors.values())))
        samples = self._num_samples + np.arange(size)
        self._num_samples += size
        # With masks, as stages take them.
        tensors = {k: (x, np.ones(size, bool)) for k, x in tensors.items()}
        self._push(0, _Rows(samples, np.zeros((size, 1), "float32"), tensors))

    def finish(self):
        """Decides what still waits; returns an `EarlyExitPrediction`."""
        for number in range(len(self._stages)):
            rows = self._waiting[number]
            if rows is not None and len(rows.samples):
                self._run(number, rows)
        samples, predictions, layers_used = map(
            np.concatenate, zip(*self._finished)
        )
        order = np.argsort(samples)
        return EarlyExitPrediction(predictions[order], layers_used[order])

    def _push(self, number, rows):
        """Adds rows to those that wait, and runs as many batches as full."""
        if self._waiting[number] is not None:
            rows = tree.map_structure(
                lambda *arrays: np.concatenate(arrays),
                self._waiting[number],
                rows,
            )
        size = self._batch_size
        while len(rows.samples) >= size:
            self._run(number, rows.take(slice(size)))
            rows = rows.take(slice(size, None))
        self._waiting[number] = rows

    def _run(self, number, rows):
        stage = self._stages[number]
        size = len(rows.samples)
        inputs = [rows.tensors[key] for key in stage.takes]
        if size < self._batch_size:
            copies = np.arange(self._batch_size) % size
            inputs = tree.map_structure(lambda x: x[copies], inputs)
        goodness, *given = stage.predict_on_batch(inputs)
        combined = rows.combined + self._weights[stage.exit] * goodness[:size]
        leaves = self._confidence(combined) > self._threshold
        if number + 1 == len(self._stages):
            leaves[:] = True
        layers_used = np.full(size, self._layers_used[number], "int32")
        self._finished.append(
            (rows.samples[leaves], combined[leaves], layers_used[leaves])
        )
        if not leaves.all():
            tensors = {**rows.tensors, **dict(zip(stage.gives, given))}
            tensors = {
                key: tree.map_structure(lambda x: x[:size], tensors[key])
                for key in stage.alive
            }
            undecided = _Rows(rows.samples, combined, tensors).take(~leaves)
            self._push(number + 1, undecided)


class _Rows(NamedTuple):
    """Samples on their way: their numbers, combined goodness and tensors.

    The tensors are pairs with their masks, by keys.
    """

    samples: Any
    combined: Any
    tensors: dict

    def take(self, rows):
        return tree.map_structure(lambda array: array[rows], self)


def predict_early_exit(model, x, threshold, batch_size=None, steps=None):
    """See `ForwardOnlyModel.predict_early_exit`."""
    check_fraction("threshold", threshold)
    check_has_exits(model)
    early_exit = None
    for x_batch, *_ in batches(x, batch_size=batch_size, steps=steps):
        tensors = tree.map_structure(
            ops.convert_to_numpy, model._graph.input_tensors(x_batch)
        )
        _check_shapes(model.inputs, tensors)
        if early_exit is None:
            early_exit = EarlyExit(
                model._graph.stages(exits(model)),
                model.contribution.weights,
                threshold,
                len(tree.flatten(tensors)[0]),
                model._task.confidence,
            )
        early_exit.add(tensors)
    if early_exit is None:
        raise ValueError("`x` must hold samples. Received: none")
    return early_exit.finish()


def _check_shapes(symbols, tensors):
    """Raises if samples are of another shape than the model's inputs."""
    for symbol, tensor in zip(symbols, tensors.values()):
        expected, received = symbol.shape[1:], tensor.shape[1:]
        if len(expected) != len(received) or any(
            size not in (None, found) for size, found in zip(expected, received)
        ):
            raise ValueError(
                f"Samples must have the shape {tuple(expected)}. Received: "
                f"samples of shape {tuple(received)}"
            )


def exits(model):
    """The numbers of the local layers that contribute, as they run."""
    order = model._graph.running_order
    weights = model.contribution.weights
    # Without any contribution, `predict` computes all layers too.
    return tuple(i for i in order if weights[i] != 0) or tuple(order)


def check_has_exits(model):
    """Raises if a model's predictions are neither sure nor unsure."""
    if not model._task.has_accuracy:
        raise ValueError(
            "Early exit needs to know how sure a prediction is, and a "
            "predicted value does not tell. Received: a model of "
            f"{model.task}. `truncate(k)` leaves layers out for all samples."
        )
