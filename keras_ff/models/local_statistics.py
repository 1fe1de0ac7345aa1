import keras
import numpy as np
from keras import ops

from keras_ff.labels import class_numbers
from keras_ff.labels import count_wrong
from keras_ff.labels import count_wrong_weights
from keras_ff.models.loss_rules import takes_distributions


class LocalStatistics(keras.metrics.Metric):
    """What is counted for every local layer over an epoch.

    Args:
        names: the names of the local layers.
        num_classes: int.
        report: bool, whether `result` gives a loss and an accuracy per layer.
        measures_intervals: bool, whether the accuracy of every interval of
            layers is counted.
    """

    def __init__(self, names, num_classes, report, measures_intervals):
        super().__init__(name="local_statistics", dtype="float32")
        self.names = list(names)
        self.num_classes = num_classes
        self.report = report
        self.measures_intervals = measures_intervals
        size = len(self.names)

        def add(name, shape):
            return self.add_variable(shape, "zeros", name=name)

        self.count = add("count", ())
        self.loss = add("loss", (size,))
        # With the weights of the samples, whatever the loss's reduction.
        self.weight = add("weight", ())
        self.weighted_loss = add("weighted_loss", (size,))
        self.penalty = add("penalty", (size,))
        self.hits = add("hits", (size,))
        # How many labels were no class, and one of them.
        self.wrong_labels = add("wrong_labels", ())
        self.wrong_label = add("wrong_label", ())
        self.wrong_weights = add("wrong_weights", ())
        self.wrong_weight = add("wrong_weight", ())
        self.empty_batches = add("empty_batches", ())
        if measures_intervals:
            self.interval_hits = add("interval_hits", (size, size))

    def update_state(
        self,
        y,
        target,
        goodness,
        losses,
        penalties,
        votes,
        sample_weight,
        loss,
        training,
    ):
        """Adds one batch.

        Args:
            y: labels, class numbers or one-hot rows.
            target: what the goodness is held against, as `y`.
            goodness: list of `(batch, num_classes)`.
            losses: list of scalars, the layers' losses.
            penalties: list of scalars, the layers' regularizers and
                objectives.
            votes: tensor `(layers,)`, zero for layers that do not count.
            sample_weight: one weight a sample, or `None`.
            loss: the loss of every layer.
            training: bool. Intervals are counted on held-out data only.
        """
        wrong = count_wrong(y, self.num_classes, takes_distributions(loss))
        labels = ops.cast(class_numbers(target), "int32")
        goodness = [ops.cast(scores, "float32") for scores in goodness]
        batch = ops.cast(ops.shape(goodness[0])[0], "float32")
        self.count.assign_add(batch)
        self.empty_batches.assign_add(ops.cast(batch == 0, "float32"))
        self.loss.assign_add(batch * ops.stack(losses))
        self.penalty.assign_add(batch * ops.stack(penalties))
        _count(self.wrong_labels, self.wrong_label, *wrong)
        weights = ops.ones_like(goodness[0][:, 0])
        if sample_weight is not None:
            weights = ops.cast(ops.reshape(sample_weight, (-1,)), "float32")
            wrong = count_wrong_weights(weights)
            _count(self.wrong_weights, self.wrong_weight, *wrong)
        weight = ops.sum(weights)
        self.weight.assign_add(weight)
        # What undoes the division of the reduction.
        factor = {"sum": 1.0, "mean_with_sample_weight": weight}
        factor = factor.get(loss.reduction, batch)
        self.weighted_loss.assign_add(factor * ops.stack(losses))
        if self.report:
            hits = _hits(ops.stack(goodness), labels, weights)
            self.hits.assign_add(hits)
        if self.measures_intervals and not training:
            goodness = [votes[i] * x for i, x in enumerate(goodness)]
            hits = _interval_hits(goodness, labels, weights)
            self.interval_hits.assign_add(hits)

    def result(self):
        if not self.report:
            return {}
        count = ops.maximum(self.count, 1.0)
        loss = (self.loss + self.penalty) / count
        # JAX's `where` takes no variables.
        weight = ops.convert_to_tensor(self.weight)
        accuracy = self.hits / ops.where(weight == 0, 1.0, weight)
        return {
            f"{name}_{key}": values[i]
            for i, name in enumerate(self.names)
            for key, values in (("loss", loss), ("accuracy", accuracy))
        }

    def mean_loss(self):
        """Mean loss of each layer's goodness alone (NumPy)."""
        return _numpy(self.weighted_loss) / _numpy(self.weight)

    def interval_accuracy(self):
        """Accuracy of the summed goodness of layers s to e (NumPy)."""
        accuracy = _numpy(self.interval_hits) / _numpy(self.weight)
        below = np.tril(np.ones_like(accuracy, bool), -1)
        return np.where(below, np.nan, accuracy)

    def is_sound(self):
        """Whether all batches so far may be trained on, a tensor.

        They hold samples, their labels are classes, their weights not
        negative and their losses numbers. After a batch that is not sound, no
        later one is, until the state is reset.
        """
        total = ops.sum(self.loss) + ops.sum(self.penalty)
        wrong = self.wrong_labels + self.wrong_weights + self.empty_batches
        return ops.logical_and(wrong == 0, ops.isfinite(total))

    def has_samples(self):
        """Whether there was a sample, of a weight other than zero."""
        return bool(_numpy(self.weight))

    def broken_layers(self):
        """The names of the layers whose loss, or penalty, was not finite."""
        return [
            [n for n, v in zip(self.names, _numpy(sums)) if not np.isfinite(v)]
            for sums in (self.loss, self.penalty)
        ]


def _count(number, last, wrong, example):
    """Adds what is wrong in a batch, and keeps an example."""
    number.assign_add(wrong)
    before = ops.convert_to_tensor(last)
    last.assign(ops.where(wrong > 0, example, before))


def _hits(goodness, labels, weights):
    predicted = ops.cast(ops.argmax(goodness, axis=-1), "int32")
    return ops.sum(ops.where(predicted == labels, weights, 0.0), axis=-1)


def _interval_hits(goodness, labels, weights):
    goodness = ops.stack(goodness)
    size = goodness.shape[0]
    rows = []
    for start in range(size):
        # Sums of layers start..end for every end at or after start.
        sums = ops.cumsum(goodness[start:], axis=0)
        rows.append(ops.pad(_hits(sums, labels, weights), [[start, 0]]))
    return ops.stack(rows)


def _numpy(variable):
    return np.array(ops.convert_to_numpy(variable))
