from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_ff import keras_private
from keras_ff.checks import check_integer
from keras_ff.contributions import Contribution
from keras_ff.keras_private import producer
from keras_ff.losses import LocalCrossentropy
from keras_ff.models import tasks
from keras_ff.models.check_heads import check_logits
from keras_ff.models.connect import connect
from keras_ff.models.exact_saving import ExactSaving
from keras_ff.models.exporting import Exporting
from keras_ff.models.graph import goodness_tensors
from keras_ff.models.layer_parallel.in_stages import in_stages
from keras_ff.models.local_statistics import LocalStatistics
from keras_ff.models.log_order import in_layer_order
from keras_ff.models.log_order import layer_of
from keras_ff.models.lora import start_lora
from keras_ff.models.loss_rules import check_form
from keras_ff.models.loss_rules import get_loss
from keras_ff.models.loss_rules import is_known
from keras_ff.models.loss_rules import task_of
from keras_ff.models.metric_rules import check_take_logits
from keras_ff.models.metric_rules import check_thresholds
from keras_ff.models.readout import Readout
from keras_ff.models.slow_dtype import warn_if_slow
from keras_ff.models.soundness import raise_if_data_wrong
from keras_ff.models.soundness import raise_if_unsound
from keras_ff.models.summary import FullSummary
from keras_ff.models.trainers import LocalTrainer
from keras_ff.models.training_data import as_pipeline
from keras_ff.models.training_data import check_batch
from keras_ff.models.training_data import check_data
from keras_ff.models.training_data import check_samples
from keras_ff.models.training_data import check_sizes
from keras_ff.models.training_data import fit_data
from keras_ff.models.training_data import without_pandas
from keras_ff.models.training_state import TrainingState
from keras_ff.models.voting import start_voting
from keras_ff.type_aliases import Config
from keras_ff.type_aliases import Data
from keras_ff.type_aliases import Tensor


class LocalLossModel(
    LocalTrainer,
    ExactSaving,
    Exporting,
    FullSummary,
    keras_private.OwnLosses,
    keras_private.LogOrder,
    keras_private.ShownArguments,
    keras.Model,
):
    """Base class of models with a loss at the goodness of every layer.

    It knows how such a model is compiled, trained and evaluated, what labels
    and weights it takes, and counts its epochs. Which layers a loss reaches
    is up to the model that derives from it.

    Args:
        layers: list of layers, or `None`.
        inputs, outputs: a graph in their place, or `None`.
        name, trainable: as in `keras.Model`.
        **options: arguments of `Readout`, those that the model has.
    """

    _readout_class = Readout
    _default_loss = LocalCrossentropy
    # Whether a layer's training needs nothing of the layers after it.
    _layers_are_independent = False

    def __init__(
        self,
        layers: Sequence[Any] | None,
        inputs: Any,
        outputs: Any,
        name: str | None,
        trainable: bool | None,
        **options: Any,
    ) -> None:
        inputs, prediction = connect(
            type(self), layers, inputs, outputs, options
        )
        super().__init__(inputs, prediction, name=name, trainable=trainable)
        self._readout = producer(prediction)
        self._spreads = {}
        goodness = goodness_tensors(self, self._readout)
        task = tasks.get(self.task)(self.num_classes)
        self._statistics = LocalStatistics(
            [producer(tensor).name for tensor in goodness],
            task,
            report=self.layer_metrics,
            measures_intervals=self.contribution.measures_intervals,
        )

    @staticmethod
    def _check_goodness(tensors):
        """Raises if outputs are not what the model takes for goodness."""

    def _check_layers(self):
        """Raises if a layer that is to be trained has no loss."""

    @property
    def num_classes(self) -> int:
        return self.output_shape[-1]

    @property
    def task(self) -> str:
        """What the model learns, as its loss says.

        `"classification"` (one class a sample), `"multi_label"` (yes or no in
        every column) or `"regression"` (a value in every column). `compile`
        sets it, and `save` keeps it.
        """
        return self._readout.task

    @property
    def _task(self):
        return self._statistics.task

    @property
    def contribution(self) -> Contribution:
        """How the layers are weighed; `.weights` are the numbers in force."""
        return self._readout.contribution

    @property
    def layer_metrics(self) -> bool:
        """Whether logs carry a loss and an accuracy of every local layer."""
        return self._readout.layer_metrics

    @property
    def epoch(self) -> int:
        """The number of finished epochs of training, an int.

        `fit` counts it, `save` keeps it. Temperature decay and regularizer
        warm-up follow it. Set it in a training loop of your own.
        """
        return int(ops.convert_to_numpy(self._readout.epoch))

    @epoch.setter
    def epoch(self, value: int) -> None:
        check_integer("epoch", value, minimum=0)
        self._readout.epoch.assign(value)

    def compile(
        self,
        optimizer: str | keras.optimizers.Optimizer = "rmsprop",
        loss: str | keras.losses.Loss | Callable[..., Tensor] | None = None,
        loss_weights: None = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Configures the model for training, as in `keras.Model`.

        Args:
            optimizer: as in `keras.Model`. A `keras.optimizers.MultiOptimizer`
                gives each layer its own.
            loss: a `keras.losses.Loss` on logits, its name, or a function
                `(targets, goodness) -> losses`, applied to every local layer.
                `None` means `keras_ff.losses.LocalCrossentropy()`. Names
                stand for losses on logits. The loss decides what the model
                learns (`model.task`): Keras's binary crossentropies and
                hinges yes or no in every column, its losses of numbers (mean
                squared error and the like) regression, all others classes. A
                loss or function of your own says it by an attribute `task`.
            loss_weights: not supported; there is one prediction.
            metrics: metrics of the combined prediction, which are logits.
                `None` means `["accuracy"]`, in regression `["mae"]`. Those of
                Keras get labels in the form that they take.
            weighted_metrics: as `metrics`, weighted by `sample_weight`.
            run_eagerly, steps_per_execution, jit_compile, auto_scale_loss: as
                in `keras.Model`.

        Raises:
            TypeError: if `loss` is none.
            ValueError: if the loss, a metric, a goodness head, an objective
                or the contribution does not fit what is to be learned.
        """
        if loss_weights is not None:
            raise ValueError(
                f"A {type(self).__name__} has one prediction and no loss "
                f"weights. Received: loss_weights={loss_weights}"
            )
        self._check_layers()
        loss = get_loss(loss, self._default_loss)
        task = tasks.get(task_of(loss))(self.num_classes)
        self._check_task(task, loss)
        check_take_logits([metrics, weighted_metrics])
        metrics, weighted_metrics = task.metrics(metrics, weighted_metrics)
        if task.has_accuracy:
            check_thresholds([metrics, weighted_metrics])
        self._spreads.clear()
        self._readout.task = task.name
        self._statistics.task = task
        super().compile(
            optimizer=optimizer,
            loss=loss,
            metrics=metrics,
            weighted_metrics=weighted_metrics,
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
            jit_compile=jit_compile,
            auto_scale_loss=auto_scale_loss,
        )
        keras_private.build_no_loss(self)

    def _check_task(self, task, loss):
        """Raises if the model cannot learn what a loss asks for."""
        task.check_columns(loss)
        if not task.has_accuracy and self.contribution.measures_intervals:
            raise ValueError(
                f"{type(self.contribution).__name__} compares accuracies, and "
                f"a loss of {task.kind} has none. Received: loss={loss!r}. "
                "Use keras_ff.contributions.LossAware() or Uniform()."
            )
        if task.has_accuracy and is_known(loss):
            check_logits(self._heads())

    def _heads(self):
        """By the names of layers, what scores their goodness."""
        raise NotImplementedError

    def compute_loss(
        self,
        x: Data = None,
        y: Data = None,
        y_pred: Tensor = None,
        sample_weight: Data = None,
        training: bool = True,
    ) -> Tensor:
        """The loss of one layer's goodness, a scalar.

        It is called for every layer, in `fit` and in `evaluate`; what layers
        add to it, regularizers and objectives, is added later. Override it
        for a loss that needs more than targets and goodness.

        Args:
            x: the batch's samples, as the model gets them.
            y: targets.
            y_pred: goodness of one layer, `(batch, columns)`.
            sample_weight: one weight a sample, or `None`.
            training: bool.
        """
        return self.loss(y, y_pred, sample_weight=sample_weight)

    def _losses_take_samples(self):
        """Whether a loss or a metric may look at the samples."""
        own = type(self)
        return (
            own.compute_loss is not LocalLossModel.compute_loss
            or own.compute_metrics is not LocalLossModel.compute_metrics
        )

    def fit(
        self,
        x: Data = None,
        y: Data = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Data = None,
        shuffle: bool = True,
        class_weight: dict[int, float] | None = None,
        sample_weight: Data = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int = 1,
    ) -> keras.callbacks.History:
        """Trains the model, as in `keras.Model`.

        Shuffled arrays come in an order that depends on the model's seed and
        the epoch alone, also with `steps_per_epoch`, so that a run resumed
        with `keras.callbacks.BackupAndRestore` sees the batches that an
        uninterrupted one would have seen. The batches of a `PyDataset` come
        in Keras's own random order; with `shuffle=False` they stay as they
        are. Training data with a method `set_epoch(epoch)` is told the epoch.
        """
        with self._agreed():
            data = fit_data(
                self,
                x=x,
                y=y,
                sample_weight=sample_weight,
                class_weight=class_weight,
                batch_size=batch_size,
                steps_per_epoch=steps_per_epoch,
                shuffle=shuffle,
                validation_split=validation_split,
                validation_data=validation_data,
                validation_batch_size=validation_batch_size,
            )
        warn_if_slow(self.layers)
        keras_private.forget_initial_epoch(self)
        start_lora(self)
        start_voting(self)
        state = TrainingState(data["x"])
        data["x"] = as_pipeline(data["x"], class_weight)
        with (
            state.first_of(callbacks, self) as callbacks,
            in_stages(self, "train"),
        ):
            return super().fit(
                epochs=epochs,
                verbose=verbose,
                callbacks=callbacks,
                initial_epoch=initial_epoch,
                validation_steps=validation_steps,
                validation_freq=validation_freq,
                **data,
            )

    def evaluate(
        self,
        x: Data = None,
        y: Data = None,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: Data = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Loss and metrics of the combined prediction, as in `keras.Model`.

        Args:
            x, y, batch_size, verbose, sample_weight, steps, callbacks,
                return_dict: as in `keras.Model`.
            **kwargs: what Keras's `fit` says when it validates.
        """
        if not keras_private.is_within_fit(kwargs):
            with self._agreed():
                x = without_pandas(x)
                y, sample_weight = check_data(self, x, y, sample_weight)
                check_sizes(batch_size=batch_size)
        with in_stages(self, "test"):
            results = super().evaluate(
                x,
                y,
                batch_size,
                verbose,
                sample_weight,
                steps=steps,
                callbacks=callbacks,
                return_dict=return_dict,
                **kwargs,
            )
        raise_if_data_wrong(self)
        return self._in_layer_order(results)

    def train_on_batch(
        self,
        x: Data,
        y: Data = None,
        sample_weight: Data = None,
        class_weight: dict[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        x = without_pandas(x)
        y, sample_weight = check_batch(self, x, y, sample_weight)
        if self.train_function is None:
            start_lora(self)
            start_voting(self)
        results = super().train_on_batch(
            x,
            y,
            sample_weight,
            class_weight=class_weight,
            return_dict=return_dict,
        )
        raise_if_unsound(self, epoch_ended=False)
        return self._in_layer_order(results)

    def test_on_batch(
        self,
        x: Data,
        y: Data = None,
        sample_weight: Data = None,
        return_dict: bool = False,
    ) -> Any:
        x = without_pandas(x)
        y, sample_weight = check_batch(self, x, y, sample_weight)
        results = super().test_on_batch(
            x, y, sample_weight, return_dict=return_dict
        )
        return self._in_layer_order(results)

    def predict(
        self,
        x: Data,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> np.ndarray:
        """Combined goodness of samples: logits, or values in regression."""
        x = without_pandas(x)
        check_samples(x)
        with in_stages(self, "predict"):
            return super().predict(
                x, batch_size, verbose, steps, callbacks=callbacks
            )

    def _in_layer_order(self, logs):
        if not isinstance(logs, dict):
            return logs
        return in_layer_order(logs, self._statistics.names)

    def _is_listed_last(self, key):
        return layer_of(key, self._statistics.names) >= 0

    def _refuse_outer_model(self):
        if not self.trainable_variables:
            return
        kind = type(self).__name__
        raise ValueError(
            f"The {kind} '{self.name}' is a layer of a model that is trained "
            "or evaluated: with one loss for all, not with those of its "
            "layers. Put what comes before it into its own list of layers, "
            f"{kind}([keras.Input(shape), keras.layers.Rescaling(1 / 255), "
            "...]), or into the data (`dataset.map`), and train it alone. "
            "Other models may call it, and train around it once it is frozen "
            "(`trainable = False`)."
        )

    def compute_metrics(
        self, x: Data, y: Data, y_pred: Tensor, sample_weight: Data = None
    ) -> Config:
        # Keras asks for metrics first, to build them.
        self._check_batch(y, sample_weight)
        y = self._task.of_metrics(y, y_pred)
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def _check_form(self, y):
        """Raises if the loss does not take class labels of this form."""
        if self.task == "classification":
            check_form(self.loss, y)

    def _shuffle_seed(self):
        return int(ops.convert_to_numpy(self._readout.shuffle_seed))
