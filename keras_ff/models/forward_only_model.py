import keras
from keras import ops

from keras_ff import keras_private
from keras_ff.keras_private import producer
from keras_ff.labels import in_form
from keras_ff.labels import is_rows
from keras_ff.losses import LocalCrossentropy
from keras_ff.models.connect import connect
from keras_ff.models.early_exit import predict_early_exit
from keras_ff.models.exact_saving import ExactSaving
from keras_ff.models.exit_calibration import calibrate_early_exit
from keras_ff.models.exporting import export
from keras_ff.models.graph import LayerGraph
from keras_ff.models.local_statistics import LocalStatistics
from keras_ff.models.loss_rules import check_loss
from keras_ff.models.pruned import pruned
from keras_ff.models.readout import Readout
from keras_ff.models.soundness import raise_if_data_wrong
from keras_ff.models.soundness import raise_if_unsound
from keras_ff.models.trainers import LocalTrainer
from keras_ff.models.training_data import as_pipeline
from keras_ff.models.training_data import check_batch
from keras_ff.models.training_data import check_data
from keras_ff.models.training_data import check_samples
from keras_ff.models.training_data import check_sizes
from keras_ff.models.training_data import fit_data
from keras_ff.models.training_state import TrainingState
from keras_ff.models.truncate import truncate
from keras_ff.models.without_objectives import without_objectives


@keras.saving.register_keras_serializable(package="keras_ff")
class ForwardOnlyModel(LocalTrainer, ExactSaving, keras.Model):
    """A Keras model that learns without end-to-end backpropagation.

    Every local layer receives a stop-gradiented input, scores the classes
    itself (its goodness) and learns from its own loss. The training step runs
    one layer at a time, forward, loss, gradient and release, so its memory
    does not grow with depth. In all other respects it is an ordinary
    functional Keras model: `compile`, `fit`, `evaluate`, `predict`, `save`,
    callbacks and mixed precision work as usual.

    There are two ways to make one:

    - `ForwardOnlyModel(layers)`: a list that starts with `keras.Input`; the
      features of each layer are the input of the next.
    - `ForwardOnlyModel(inputs, outputs)`: any acyclic functional graph, with
      `outputs` the list of the goodness tensors of its local layers.

    Layers between the local ones must have no trainable weights (pooling,
    addition, concatenation, augmentation, frozen layers).

    Calling the model, `predict`, `evaluate` and `export` give the combined
    prediction: the weighted sum of the layers' goodness (logits).

    Args:
        layers: list of `keras.Input`, local layers and layers without
            trainable weights.
        inputs, outputs: as in `keras.Model`, see above.
        contribution: a `keras_ff.contributions.Contribution`, how layers are
            weighed. `None` means `Uniform()`, the plain sum.
        layer_clipnorm: float, the largest norm of each local layer's
            gradients, clipped separately. Defaults to `None`, no clipping.
        layer_metrics: bool, whether logs carry a loss and an accuracy of
            every local layer. Defaults to `False`.
        name: string, the model's name.

    Raises:
        ValueError: if there is no local layer, a layer with trainable weights
            is not local, local layers differ in `num_classes`, or an output
            is not a goodness tensor.
        TypeError: if an argument is of the wrong type.

    Example:

    ```python
    model = keras_ff.models.ForwardOnlyModel([
        keras.Input((28, 28, 1)),
        keras_ff.layers.CAWConv2D(40, 5, num_classes=10, padding="same"),
        keras.layers.AveragePooling2D(2),
        keras_ff.layers.CAWConv2D(80, 3, num_classes=10, padding="same"),
    ])
    model.compile(optimizer=keras.optimizers.AdamW(0.01))
    model.fit(x_train, y_train, validation_split=0.1, epochs=5)
    model.predict(x_test)  # (samples, 10): combined goodness
    model.goodness(x_test)  # (samples, 2, 10): of every local layer
    ```

    A residual graph:

    ```python
    inputs = keras.Input((32, 32, 3))
    x, goodness_1 = keras_ff.layers.CAWConv2D(
        100, 3, num_classes=10, padding="same"
    )(inputs)
    y, goodness_2 = keras_ff.layers.CAWConv2D(
        100, 3, num_classes=10, padding="same"
    )(x)
    x = keras.layers.Add()([x, y])
    _, goodness_3 = keras_ff.layers.CAWConv2D(100, 3, num_classes=10)(x)
    model = keras_ff.models.ForwardOnlyModel(
        inputs, [goodness_1, goodness_2, goodness_3]
    )
    ```

    Reference:

    - [Hinton, 2022](https://arxiv.org/abs/2212.13345)
    - [Ghader et al., 2026](https://arxiv.org/abs/2606.09928)
    """

    _options = ("contribution", "layer_clipnorm", "layer_metrics")
    _readout_class = Readout
    _default_loss = LocalCrossentropy

    # A signature like `keras.Model`'s keeps stock cloning and loading.
    def __init__(self, *args, **kwargs):
        options = {k: kwargs.pop(k) for k in self._options if k in kwargs}
        inputs, prediction = self._connect(args, kwargs, options)
        super().__init__(inputs, prediction, **kwargs)
        self._readout = producer(prediction)
        self._graph = LayerGraph(self, self._readout)
        self._needed = None
        self._predict_needed = None
        self._statistics = LocalStatistics(
            [layer.name for layer in self.local_layers],
            self.num_classes,
            report=self.layer_metrics,
            measures_intervals=self.contribution.measures_intervals,
        )

    @classmethod
    def _connect(cls, args, kwargs, options):
        return connect(cls, args, kwargs, options)

    @property
    def local_layers(self):
        """The local layers, in the order of their goodness."""
        return list(self._graph.local_layers)

    @property
    def num_classes(self):
        return self.output_shape[-1]

    @property
    def contribution(self):
        """How the layers are weighed; `.weights` are the numbers in force."""
        return self._readout.contribution

    @property
    def layer_metrics(self):
        """Whether logs carry a loss and an accuracy of every local layer."""
        return self._readout.layer_metrics

    @property
    def epoch(self):
        """The number of finished epochs of training, an int.

        `fit` counts it, `save` keeps it. Temperature decay and regularizer
        warm-up follow it. Set it in a training loop of your own.
        """
        return int(ops.convert_to_numpy(self._readout.epoch))

    @epoch.setter
    def epoch(self, value):
        self._readout.epoch.assign(value)

    def goodness(self, x, batch_size=None, verbose=0, steps=None):
        """The goodness of every local layer.

        Args:
            x: input samples, as in `predict`.
            batch_size, verbose, steps: as in `predict`.

        Returns:
            NumPy array of shape `(samples, local layers, num_classes)`.
        """
        check_samples(x)
        return self._graph.goodness_model().predict(
            x, batch_size=batch_size, verbose=verbose, steps=steps
        )

    def compile(
        self,
        optimizer="rmsprop",
        loss=None,
        loss_weights=None,
        metrics=None,
        **kwargs,
    ):
        """Configures the model for training, as in `keras.Model`.

        Args:
            optimizer: as in `keras.Model`. A `keras.optimizers.MultiOptimizer`
                gives each layer its own.
            loss: a `keras.losses.Loss` on logits, applied to every local
                layer. `None` means `keras_ff.losses.LocalCrossentropy()`.
            loss_weights: not supported; there is one prediction.
            metrics: metrics of the combined prediction. `None` means
                `["accuracy"]`.
            **kwargs: the other arguments of `keras.Model.compile`.
        """
        if loss_weights is not None:
            raise ValueError(
                "A ForwardOnlyModel has one prediction and no loss weights. "
                f"Received: loss_weights={loss_weights}"
            )
        self._graph.check_trainable()
        self._metrics_take_rows = None
        super().compile(
            optimizer=optimizer,
            loss=check_loss(loss, self._default_loss),
            metrics=["accuracy"] if metrics is None else metrics,
            **kwargs,
        )

    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        epochs=1,
        verbose="auto",
        callbacks=None,
        validation_split=0.0,
        validation_data=None,
        shuffle=True,
        class_weight=None,
        sample_weight=None,
        initial_epoch=0,
        steps_per_epoch=None,
        validation_steps=None,
        validation_batch_size=None,
        validation_freq=1,
    ):
        """Trains the model, as in `keras.Model`.

        Shuffled arrays come in an order that depends on the model's seed and
        the epoch alone, also with `steps_per_epoch`, so that a run resumed
        with `keras.callbacks.BackupAndRestore` sees the batches that an
        uninterrupted one would have seen. The batches of a `PyDataset` come
        in Keras's own random order; with `shuffle=False` they stay as they
        are. Training data with a method `set_epoch(epoch)` is told the epoch.
        """
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
        keras_private.forget_initial_epoch(self)
        state = TrainingState(data["x"])
        data["x"] = as_pipeline(data["x"], class_weight)
        with state.first_of(callbacks, self) as callbacks:
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
        x=None,
        y=None,
        batch_size=None,
        verbose="auto",
        sample_weight=None,
        *args,
        **kwargs,
    ):
        if not keras_private.is_within_fit(kwargs):
            y, sample_weight = check_data(self, x, y, sample_weight)
            check_sizes(batch_size=batch_size)
        results = super().evaluate(
            x, y, batch_size, verbose, sample_weight, *args, **kwargs
        )
        raise_if_data_wrong(self)
        return results

    def train_on_batch(self, x, y=None, sample_weight=None, *args, **kwargs):
        y, sample_weight = check_batch(self, x, y, sample_weight)
        results = super().train_on_batch(x, y, sample_weight, *args, **kwargs)
        raise_if_unsound(self, epoch_ended=False)
        return results

    def test_on_batch(self, x, y=None, sample_weight=None, *args, **kwargs):
        y, sample_weight = check_batch(self, x, y, sample_weight)
        return super().test_on_batch(x, y, sample_weight, *args, **kwargs)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        # Keras asks for metrics first, to build them.
        self._check_batch(y, sample_weight)
        if self._metrics_take_rows is None:
            self._metrics_take_rows = is_rows(y)
        # Keras chooses what "accuracy" means by the first labels it sees.
        y = in_form(y, self._metrics_take_rows, y_pred)
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def call(self, inputs, training=None, mask=None):
        if self._needed is None:
            return super().call(inputs, training=training, mask=mask)
        calls = self._graph.walk(inputs, training, needed=self._needed)
        goodness = {call.index: call.run() for call in calls}
        return self._readout.combine(goodness.items())

    def predict(self, x, *args, **kwargs):
        """Combined goodness (logits) of samples, as in `keras.Model`.

        Layers whose contribution is zero, and on which no other layer
        depends, are not computed.
        """
        check_samples(x)
        return pruned(self, super().predict)(x, *args, **kwargs)

    def predict_on_batch(self, x):
        return pruned(self, super().predict_on_batch)(x)

    def predict_early_exit(self, x, threshold, batch_size=None, steps=None):
        """Predicts, and computes no more layers than each sample needs.

        A sample leaves at the first local layer where it is decided: the
        softmax of its combined goodness, the weighted sum over the layers so
        far, has a maximum (the confidence) above `threshold`. Later layers
        are computed for the undecided samples only. The last layer that
        contributes takes all that are left. Layers that do not contribute
        are no exits.

        Goodness, and with it confidence, has a scale of its own: it depends
        on the method and on how far the weights of the first layers reach
        (those of `LossAware` sum to one over all layers). Let
        `calibrate_early_exit` choose the threshold.

        Args:
            x: input samples, as in `predict`.
            threshold: float in `[0, 1]`. With `0` all samples leave at the
                first exit, with `1` none before the last: the same as
                `predict`.
            batch_size: int, as in `predict`. Every layer is computed in
                batches of this size, so larger ones waste nothing.
            steps: as in `predict`.

        Returns:
            A named tuple: `predictions`, NumPy array of shape
            `(samples, num_classes)`, each sample's combined goodness (logits)
            up to its exit, and `layers_used`, NumPy array of shape
            `(samples,)`, how many local layers were computed for it.

        Raises:
            ValueError: if `threshold` is not in `[0, 1]`, or there are no
                samples.
            TypeError: if `threshold` is not a number.

        Example:

        ```python
        found = model.calibrate_early_exit(x_val, y_val)
        predictions, layers_used = model.predict_early_exit(
            x_test, found.threshold, batch_size=256
        )
        ```

        Reference:

        - [Aminifar et al., 2024](https://arxiv.org/abs/2404.05241)
        """
        return predict_early_exit(self, x, threshold, batch_size, steps)

    def calibrate_early_exit(
        self,
        x,
        y=None,
        max_accuracy_loss=0.005,
        batch_size=None,
        steps=None,
        sample_weight=None,
    ):
        """Finds the threshold of `predict_early_exit` on labelled data.

        Use data that the model has not been trained on.

        Args:
            x, y, batch_size, steps, sample_weight: as in `evaluate`.
            max_accuracy_loss: float in `[0, 1]`, the share of the samples by
                which the accuracy may be below that of `predict`. Defaults
                to `0.005`, half a percentage point.

        Returns:
            A named tuple of floats: `threshold`, the smallest with at most
            this loss, and what was measured with it: `accuracy`,
            `full_accuracy` (that of `predict`) and `mean_layers_used`.

        Raises:
            ValueError: if there are no labels, or a wrong one, no weight
                above zero, or `max_accuracy_loss` is not in `[0, 1]`.
            TypeError: if `max_accuracy_loss` is not a number.

        Example:

        ```python
        found = model.calibrate_early_exit(validation, max_accuracy_loss=0.01)
        print(found.threshold, found.accuracy, found.mean_layers_used)
        ```
        """
        return calibrate_early_exit(
            self, x, y, max_accuracy_loss, batch_size, steps, sample_weight
        )

    def truncate(self, k=None):
        """A new model of the first local layers.

        It has weights of its own, copied from this one, so that training the
        one does not change the other. It predicts, saves and exports as this
        one, starts at the same epoch and is, like a clone, not compiled.

        The weights of its contribution are those of the layers kept; if they
        summed to one they do so again. If none of the layers kept
        contributed (`Last`), the contribution starts anew.

        Args:
            k: how many local layers to keep, counted in the order in which
                they run, or the name of the last one. `None` keeps all up to
                the last one that contributes: the predictions are then the
                same.

        Returns:
            A `ForwardOnlyModel`.

        Raises:
            ValueError: if there is no such local layer.
            TypeError: if `k` is of another type.

        Example:

        ```python
        small = model.truncate(2)
        small.export("small.onnx", format="onnx")
        ```
        """
        return truncate(self, k)

    def export(
        self,
        filepath,
        format="tf_saved_model",
        verbose=None,
        input_signature=None,
        **kwargs,
    ):
        """Exports the combined prediction, as in `keras.Model`.

        Layers that do not contribute are left out of the exported graph, and
        local objectives out of the file.

        Args:
            filepath: where to write.
            format: `"tf_saved_model"` (TensorFlow, JAX), `"onnx"` (all),
                `"litert"` (TensorFlow; PyTorch with `litert-torch`),
                `"openvino"` (TensorFlow, PyTorch) or `"torch"` (PyTorch).
            verbose, input_signature, **kwargs: as in `keras.Model.export`.
                With PyTorch, give formats other than `"onnx"` a signature of
                fixed shape.

        Raises:
            Exception: whatever Keras raises if it cannot export to this
                format on this backend, with a note that says so.
        """
        model = without_objectives(self)
        export(
            pruned(model, super(ForwardOnlyModel, model).export),
            model.input,
            filepath,
            format,
            verbose,
            input_signature,
            **kwargs,
        )

    def _shuffle_seed(self):
        return int(ops.convert_to_numpy(self._readout.shuffle_seed))
