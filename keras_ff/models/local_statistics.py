import keras
import numpy as np
from keras import ops

from keras_ff.labels import count_wrong_weights
from keras_ff.models.trainers.portion import divisor


class LocalStatistics(keras.metrics.Metric):
    """What is counted for every local layer over an epoch.

    Args:
        names: the names of the local layers.
        task: the model's `Task`; `compile` may change it.
        report: bool, whether `result` gives a loss and an accuracy per layer.
        measures_intervals: bool, whether the accuracy of every interval of
            layers is counted.
    """

    def __init__(self, names, task, report, measures_intervals):
        super().__init__(name="local_statistics", dtype="float32")
        self.names = list(names)
        self.task = task
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
        # A replica without any has zero there.
        self.examples = [self.wrong_label, self.wrong_weight]
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
        portion,
        training,
    ):
        """Adds one batch.

        Args:
            y: targets.
            target: what the goodness is held against, as `y`.
            goodness: list of `(batch, num_classes)`.
            losses: list of scalars, the layers' losses.
            penalties: list of scalars, the layers' regularizers and
                objectives.
            votes: tensor `(layers,)`, zero for layers that do not count.
            sample_weight: one weight a sample, or `None`.
            loss: the loss of every layer.
            portion: the `Portion` of a batch that devices share, or `None`.
            training: bool. Intervals are counted on held-out data only.
        """
        wrong = self.task.count_wrong(y)
        goodness = [ops.cast(scores, "float32") for scores in goodness]
        batch = ops.cast(ops.shape(goodness[0])[0], "float32")
        self.count.assign_add(batch)
        empty = batch == 0 if portion is None else portion.is_empty()
        self.empty_batches.assign_add(ops.cast(empty, "float32"))
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
        factor = divisor(loss, batch, weight)
        if portion is not None:
            factor = portion.factor(loss)
        self.weighted_loss.assign_add(factor * ops.stack(losses))
        if not self.task.has_accuracy:
            return

        def hits(scores):
            right = self.task.right(target, scores)
            return ops.sum(right * weights, axis=-1)

        if self.report:
            self.hits.assign_add(hits(ops.stack(goodness)))
        if self.measures_intervals and not training:
            goodness = [votes[i] * x for i, x in enumerate(goodness)]
            self.interval_hits.assign_add(_of_intervals(goodness, hits))

    def result(self):
        if not self.report:
            return {}
        count = ops.maximum(self.count, 1.0)
        loss = (self.loss + self.penalty) / count
        # JAX's `where` takes no variables.
        weight = ops.convert_to_tensor(self.weight)
        found = {"loss": loss}
        if self.task.has_accuracy:
            found["accuracy"] = self.hits / ops.where(weight == 0, 1.0, weight)
        return {
            f"{name}_{key}": values[i]
            for i, name in enumerate(self.names)
            for key, values in found.items()
        }

    def mean_loss(self):
        """Mean loss of each layer's goodness alone (NumPy)."""
        return _numpy(self.weighted_loss) / _numpy(self.weight)

    def loss_scale(self):
        """What losses are measured by: 1, or that of the best layer.

        In regression a loss has the unit of the targets.
        """
        if self.task.has_accuracy:
            return 1.0
        return max(np.abs(self.mean_loss()).min(), np.finfo("float32").tiny)

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


def _of_intervals(goodness, hits):
    goodness = ops.stack(goodness)
    size = goodness.shape[0]
    rows = []
    for start in range(size):
        # Sums of layers start..end for every end at or after start.
        sums = ops.cumsum(goodness[start:], axis=0)
        rows.append(ops.pad(hits(sums), [[start, 0]]))
    return ops.stack(rows)


def _numpy(variable):
    return np.array(ops.convert_to_numpy(variable))
