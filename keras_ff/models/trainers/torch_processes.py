import contextlib
import os
import warnings
from typing import Any

import keras
import torch

from keras_ff import keras_private
from keras_ff.models.trainers.portion import Portion
from keras_ff.models.trainers.same import check_same
from keras_ff.models.trainers.same import described_fit
from keras_ff.models.trainers.same import described_model
from keras_ff.models.trainers.same import verbosity
from keras_ff.models.trainers.torch_data import described
from keras_ff.models.trainers.torch_data import shared
from keras_ff.models.trainers.torch_group import TorchGroup
from keras_ff.type_aliases import Config
from keras_ff.type_aliases import Data


class TorchProcesses(keras_private.ModelMixin):
    """Lets the processes of `torch.distributed` train one model together.

    Every process takes its share of a batch. The gradients of a layer are
    added up while the next layer computes, what is measured once a batch, so
    that all processes see, decide and log the same.
    """

    @property
    def _ddp_params_and_buffers_to_ignore(self):
        # Asked for by `DistributedDataParallel`, which takes the model in.
        raise TypeError(
            f"A {type(self).__name__} shares its batches among the processes "
            "of torch.distributed by itself: one layer at a time, while the "
            "next one computes. DistributedDataParallel waits for one "
            "backward pass through all layers, which never comes. Call "
            "`fit` of the model itself once the process group is initialized."
        )

    def _initialize_ddp(self):
        """Leaves out what Keras 3.16 does: it wraps every model."""

    def get_metrics_result(self) -> Config:
        if TorchGroup.joined() is None:
            return super().get_metrics_result()
        # They are added up already; Keras 3.16 would do it once more.
        return keras_private.metrics_result(self)

    def fit(self, **options: Any) -> keras.callbacks.History:
        group = TorchGroup.joined()
        if group is None:
            _warn_if_alone()
        elif self.compiled:
            options = self._begin(group, options)
        history = super().fit(**options)
        if group is not None:
            # What callbacks of the first process wrote is there for all.
            group.gather(None)
        return history

    def evaluate(
        self,
        x: Data,
        y: Data,
        batch_size: int | None,
        verbose: int | str,
        sample_weight: Data,
        steps: int | None = None,
        **options: Any,
    ) -> Any:
        group = TorchGroup.joined()
        if group and self.compiled and not keras_private.is_within_fit(options):
            x = shared(group, (x, y, sample_weight), batch_size, steps=steps)
            same = {"weights": _digest(self), "data": described(x)}
            check_same(group, {**same, "steps": steps})
            y = batch_size = sample_weight = None
            verbose = verbosity(group, verbose)
        return super().evaluate(
            x, y, batch_size, verbose, sample_weight, steps, **options
        )

    def train_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        group = TorchGroup.joined()
        if group and self.compiled and self.train_function is None:
            self._start(group, {})
        results = super().train_on_batch(*args, **kwargs)
        self._end_pass()
        return results

    def _begin(self, group, options):
        """The arguments of `fit`, for the share of this process."""
        data = [options.pop(key) for key in ("x", "y", "sample_weight")]
        batch_size = options.pop("batch_size")
        validation = options.pop("validation_data")
        validation_batch_size = options.pop("validation_batch_size")
        x = shared(
            group,
            data,
            batch_size,
            steps=options["steps_per_epoch"],
            shuffle=options.pop("shuffle"),
            class_weight=options.pop("class_weight"),
            seed=lambda: [self._shuffle_seed(), self.epoch],
        )
        if validation is not None:
            validation = shared(
                group,
                keras.utils.unpack_x_y_sample_weight(validation),
                validation_batch_size,
                steps=options["validation_steps"],
            )
        same = described_fit(self, options)
        same["data"] = described(x)
        same["validation data"] = described(validation)
        self._start(group, same)
        options["verbose"] = verbosity(group, options["verbose"])
        return {**options, "x": x, "validation_data": validation}

    def _start(self, group, same):
        """Begins where the first process is."""
        if not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)
        check_same(group, {**described_model(self), **same})
        with torch.no_grad():
            group.give(self.variables + self.optimizer.variables)

    @contextlib.contextmanager
    def _agreed(self):
        """What one process refuses, none goes on with."""
        group = TorchGroup.joined()
        error = None
        try:
            yield
        except Exception as found:
            error = found
        if group is not None:
            said = group.gather(error and f"{type(error).__name__}: {error}")
        if error is not None:
            raise error
        if group is not None and any(said):
            index = next(i for i, message in enumerate(said) if message)
            raise ValueError(f"Process {index} refused. {said[index]}")

    def _pass(self, data, gradients=None):
        group = TorchGroup.joined()
        if group is None:
            return super()._pass(data, gradients)
        self._portion, samples = _portion(group, data)
        try:
            with self._added_up(group):
                if samples:
                    super()._pass(data, gradients)
                elif gradients is not None:
                    # A batch of fewer samples than processes.
                    for part in self._learning_parts():
                        gradients.skip(part)
        finally:
            self._portion = None
        return self.get_metrics_result()

    def _check_samples(self, y):
        if TorchGroup.joined() is None:
            super()._check_samples(y)

    def _reduce(self, gradients):
        group = TorchGroup.joined()
        if group is None or not gradients:
            return super()._reduce(gradients)
        return group.sum(gradients)

    @contextlib.contextmanager
    def _added_up(self, group):
        """Adds up over the processes what a batch adds to the metrics."""
        examples = [id(v) for v in self._statistics.examples]
        counted = [v for v in self.metrics_variables if id(v) not in examples]
        before = [v.value.clone() for v in counted]
        yield
        added = [v.value - old for v, old in zip(counted, before)]
        for variable, old, total in zip(counted, before, group.sum(added)()):
            variable.value.copy_(old + total)

    def _values_of_replicas(self, variable):
        values = super()._values_of_replicas(variable)
        group = TorchGroup.joined()
        if group and any(variable is v for v in self._statistics.examples):
            return [value for (value,) in group.gather(values)]
        return values

    def _end_pass(self):
        group = TorchGroup.joined()
        if group is None:
            return
        states = keras_private.states(self)
        with torch.no_grad():
            group.average([v for v in states if v.value.is_floating_point()])
            group.give([v for v in states if not v.value.is_floating_point()])


def _portion(group, data):
    """What this process has of a batch, and how many samples that is."""
    x, _, weights = keras.utils.unpack_x_y_sample_weight(data)
    x = next(leaf for leaf in keras.tree.flatten(x) if leaf is not None)
    samples = float(x.shape[0])
    counts = keras.ops.convert_to_tensor([samples, samples])
    if weights is not None:
        counts[1] = keras.ops.convert_to_tensor(weights, "float32").sum()
    totals = group.sum([counts])
    portion = Portion(samples, counts[1], lambda: totals()[0].unbind())
    return portion, samples


def _digest(model):
    """Tells the weights of a model from others."""
    values = [v.value.detach().double() for v in model.variables]
    return [(float(x.sum()), float(x.square().sum())) for x in values]


def _warn_if_alone():
    """Warns if others train beside this process, and nothing joins them."""
    started = torch.distributed.is_available() and (
        torch.distributed.is_torchelastic_launched()
    )
    size = os.environ.get("WORLD_SIZE", "1")
    if started and size != "1" and not torch.distributed.is_initialized():
        warnings.warn(
            f"This is one of {size} processes of torchrun, and it trains "
            "alone. Call torch.distributed.init_process_group() before `fit` "
            "for all of them to train one model.",
            stacklevel=4,
        )
