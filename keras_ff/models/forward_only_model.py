from collections.abc import Sequence
from typing import Any
from typing import TypeAlias

import keras
import numpy as np

from keras_ff.contributions import Contribution
from keras_ff.keras_private import like_model
from keras_ff.keras_private import producer
from keras_ff.layers import LocalLayer
from keras_ff.models.early_exit import EarlyExitPrediction
from keras_ff.models.early_exit import predict_early_exit
from keras_ff.models.exit_calibration import ExitCalibration
from keras_ff.models.exit_calibration import calibrate_early_exit
from keras_ff.models.graph import LayerGraph
from keras_ff.models.local_loss_model import LocalLossModel
from keras_ff.models.pruned import pruned
from keras_ff.models.training_data import check_samples
from keras_ff.models.training_data import without_pandas
from keras_ff.models.truncate import truncate
from keras_ff.models.without_objectives import without_objectives
from keras_ff.type_aliases import Data
from keras_ff.type_aliases import Path
from keras_ff.type_aliases import Tensor

Layers: TypeAlias = Sequence[keras.KerasTensor | keras.layers.Layer]


@keras.saving.register_keras_serializable(package="keras_ff")
class ForwardOnlyModel(LocalLossModel):
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

    `predict` gives logits, no probabilities: calling the model, `predict`,
    `evaluate` and `export` give the combined prediction, the weighted sum of
    the layers' goodness, and `keras.ops.softmax` makes probabilities of it.

    The loss given to `compile` decides what is learned (`model.task`): one
    class a sample, yes or no in every column (`keras.losses.
    BinaryCrossentropy(from_logits=True)`: several classes a sample, or one
    logit), or values (`keras.losses.MeanSquaredError()` and the like). Values
    are predicted by every layer and combined by a weighted mean.

    Args:
        layers: list of `keras.Input`, local layers and layers without
            trainable weights.
        inputs, outputs: as in `keras.Model`, in the place of `layers`, see
            above.
        contribution: a `keras_ff.contributions.Contribution`, how layers are
            weighed. `None` means `Uniform()`, the plain sum (or mean).
        layer_clipnorm: float, the largest norm of each local layer's
            gradients, clipped separately. Defaults to `None`, no clipping.
        layer_metrics: bool, whether logs carry a loss and an accuracy of
            every local layer. Defaults to `False`.
        name: string, the model's name.
        trainable: bool. `False` freezes all layers, `True` thaws them;
            `None`, the default, leaves them as they are.

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

    _layers_are_independent = True

    @like_model
    def __init__(
        self,
        layers: Layers | Any = None,
        outputs: Any = None,
        *,
        inputs: Any = None,
        contribution: Contribution | None = None,
        layer_clipnorm: float | None = None,
        layer_metrics: bool = False,
        name: str | None = None,
        trainable: bool | None = None,
    ) -> None:
        if inputs is None and outputs is not None:
            layers, inputs = None, layers
        self._make(
            layers,
            inputs,
            outputs,
            name,
            trainable,
            contribution=contribution,
            layer_clipnorm=layer_clipnorm,
            layer_metrics=layer_metrics,
        )

    def _make(self, *args, **options):
        super().__init__(*args, **options)
        self._graph = LayerGraph(self, self._readout)
        self._needed = None
        self._predict_needed = None

    @staticmethod
    def _check_goodness(tensors):
        for tensor in tensors:
            if not isinstance(producer(tensor), LocalLayer):
                raise ValueError(
                    "Every output must be the goodness (the second output) of "
                    f"a local layer. Received: {tensor!r}"
                )

    def _check_layers(self):
        self._graph.check_trainable()

    def _check_task(self, task, loss):
        super()._check_task(task, loss)
        for layer in self.local_layers:
            for objective in layer.objectives:
                if objective.needs_classes and task.name != "classification":
                    raise ValueError(
                        f"{type(objective).__name__} of layer '{layer.name}' "
                        "compares classes. Received: a loss of "
                        f"{task.kind}, loss={loss!r}. Leave the objective out."
                    )

    def _heads(self):
        return {layer.name: layer.head for layer in self.local_layers}

    def _learning_parts(self):
        layers = self._graph.local_layers
        order = [layers[i] for i in self._graph.running_order]
        return [layer for layer in order if layer.trainable_variables]

    @property
    def local_layers(self) -> list[LocalLayer]:
        """The local layers, in the order of their goodness."""
        return list(self._graph.local_layers)

    def goodness(
        self,
        x: Data,
        batch_size: int | None = None,
        verbose: int | str = 0,
        steps: int | None = None,
    ) -> np.ndarray:
        """The goodness of every local layer.

        Args:
            x: input samples, as in `predict`.
            batch_size, verbose, steps: as in `predict`.

        Returns:
            NumPy array of shape `(samples, local layers, num_classes)`.
        """
        x = without_pandas(x)
        check_samples(x)
        return self._graph.goodness_model().predict(
            x, batch_size=batch_size, verbose=verbose, steps=steps
        )

    def call(
        self,
        inputs: Tensor,
        training: bool | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        if self._needed is None:
            return super().call(inputs, training=training, mask=mask)
        calls = self._graph.walk(inputs, training, needed=self._needed)
        goodness = {call.index: call.run() for call in calls}
        return self._readout.combine(goodness.items())

    def predict(
        self,
        x: Data,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> np.ndarray:
        """Combined goodness of samples: logits, or values in regression.

        Layers whose contribution is zero, and on which no other layer
        depends, are not computed.
        """
        return pruned(self, super().predict)(
            x, batch_size, verbose, steps, callbacks
        )

    def predict_on_batch(self, x: Data) -> Any:
        return pruned(self, super().predict_on_batch)(without_pandas(x))

    def predict_early_exit(
        self,
        x: Data,
        threshold: float,
        batch_size: int | None = None,
        steps: int | None = None,
    ) -> EarlyExitPrediction:
        """Predicts, and computes no more layers than each sample needs.

        A sample leaves at the first local layer where it is decided: the
        softmax of its combined goodness, the weighted sum over the layers so
        far, has a maximum (the confidence) above `threshold`. Later layers
        are computed for the undecided samples only. The last layer that
        contributes takes all that are left. Layers that do not contribute
        are no exits. Where every column is yes or no, the confidence is that
        of the least certain column. In regression there is none.

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
            ValueError: if `threshold` is not in `[0, 1]`, there are no
                samples, or the model is one of regression.
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
        x: Data,
        y: Data = None,
        max_accuracy_loss: float = 0.005,
        batch_size: int | None = None,
        steps: int | None = None,
        sample_weight: Data = None,
    ) -> ExitCalibration:
        """Finds the threshold of `predict_early_exit` on labeled data.

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

    def truncate(self, k: int | str | None = None) -> "ForwardOnlyModel":
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
        filepath: Path,
        format: str = "tf_saved_model",
        verbose: int | str | None = None,
        input_signature: Any = None,
        **kwargs: Any,
    ) -> None:
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
        pruned(model, super(ForwardOnlyModel, model).export)(
            filepath, format, verbose, input_signature, **kwargs
        )
