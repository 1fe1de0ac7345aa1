import warnings
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_ff.contributions import Contribution
from keras_ff.contributions import SkipFirst
from keras_ff.keras_private import like_model
from keras_ff.keras_private import producer
from keras_ff.labels import class_numbers
from keras_ff.layers import FFDense
from keras_ff.layers.label_overlay import LabelOverlay
from keras_ff.layers.normalization import RMSFeatures
from keras_ff.losses import ForwardForwardLoss
from keras_ff.losses import LocalCrossentropy
from keras_ff.models.early_exit import EarlyExitPrediction
from keras_ff.models.exit_calibration import ExitCalibration
from keras_ff.models.forward_forward_readout import ForwardForwardReadout
from keras_ff.models.forward_forward_readout import check_inference
from keras_ff.models.forward_only_model import ForwardOnlyModel
from keras_ff.models.forward_only_model import Layers
from keras_ff.models.training_data import are_arrays
from keras_ff.models.training_data import as_array
from keras_ff.models.training_data import check_samples
from keras_ff.models.training_data import without_pandas
from keras_ff.type_aliases import Data
from keras_ff.type_aliases import Tensor

# How many samples are looked at, and how much larger than the label features
# may be: standardized ones stay below.
_LOOKED_AT = 1024
_FAINT = 32


@keras.saving.register_keras_serializable(package="keras_ff")
class ForwardForwardModel(ForwardOnlyModel):
    """Hinton's original Forward-Forward algorithm.

    A label is laid over the first features of an input. Every layer learns
    to have a high goodness, the sum of its squared activities, for inputs
    with the right label (positive data) and a low one for inputs with a wrong
    label (negative data); both passes are one batch. There are two ways to
    predict:

    - `inference="goodness"`: one pass for every class, all in one batch; a
      class's score is the goodness, summed over all layers but the first;
    - `inference="readout"`: one pass with the neutral label (`1 / num_classes`
      for every class) and a softmax layer on the features of all layers but
      the first. It is trained alongside, and its pass also proposes the hard
      negative labels. Faster, and less accurate.

    It is a `ForwardOnlyModel`: `fit`, `evaluate`, `predict`, `goodness`,
    `save`, contributions and callbacks work as there; `truncate` does not, and
    `predict_early_exit` needs `inference="goodness"`. While training, the
    logged `accuracy` is that of the read-out, and `loss` that of the drawn
    negatives; `evaluate` has the accuracy of `inference` and the mean loss
    over all wrong labels. Where several devices or processes share a batch,
    they draw other negatives than one does.

    Args:
        layers: list of `keras.Input` and `FFDense` layers. Inputs of several
            axes are flattened.
        num_classes: int, at least 2.
        negatives: `"hard"` (wrong labels drawn by the read-out's
            probabilities) or `"uniform"`. Never the right label. Defaults to
            `"hard"`.
        inference: `"goodness"` or `"readout"`; `model.inference` can be set.
            Defaults to `"goodness"`.
        label_scale: float, the value that stands for the label in the input,
            about as large as the largest features. Defaults to `1.0`.
        contribution: a `keras_ff.contributions.Contribution`. `None` means
            `SkipFirst()`.
        layer_clipnorm, layer_metrics, name: as in `ForwardOnlyModel`. The
            accuracy of a layer in training is the share of pairs that it
            tells apart.
        inputs, outputs, trainable: of a model that Keras loads or clones.

    Raises:
        ValueError: if an argument is out of range, or the input has no more
            features than there are classes.
        TypeError: if a layer is not an `FFDense`.

    Example:

    ```python
    model = keras_ff.models.ForwardForwardModel(
        [
            keras.Input((28, 28, 1)),
            keras_ff.layers.FFDense(500),
            keras_ff.layers.FFDense(500),
        ],
        num_classes=10,
    )
    model.compile(optimizer=keras.optimizers.Adam(1e-3))
    model.fit(x_train, y_train, epochs=5)
    model.predict(x_test)  # (samples, 10): goodness of every label
    ```

    Reference:

    - [Hinton, 2022](https://arxiv.org/abs/2212.13345), section 3
    """

    # Its read-out sees the features of all layers.
    _layers_are_independent = False
    _readout_class = ForwardForwardReadout
    _default_loss = ForwardForwardLoss

    @like_model
    def __init__(
        self,
        layers: Layers | Any = None,
        outputs: Any = None,
        *,
        num_classes: int | None = None,
        negatives: str = "hard",
        inference: str = "goodness",
        label_scale: float = 1.0,
        contribution: Contribution | None = None,
        layer_clipnorm: float | None = None,
        layer_metrics: bool = False,
        inputs: Any = None,
        name: str | None = None,
        trainable: bool | None = None,
    ) -> None:
        options = {}
        if outputs is None:
            layers = _with_overlay(layers, num_classes, label_scale)
            units = [
                layer.operation.units
                for layer in layers
                if isinstance(layer, FFDense)
            ]
            options = dict(
                units=sum(units[1:] or units),
                negatives=negatives,
                inference=inference,
                contribution=contribution or SkipFirst(),
                layer_clipnorm=layer_clipnorm,
                layer_metrics=layer_metrics,
            )
        elif isinstance(producer(outputs), ForwardForwardReadout):
            layers, inputs = None, layers if inputs is None else inputs
        else:
            raise TypeError(
                "A ForwardForwardModel takes a list of layers and "
                f"`num_classes`. Received: outputs={outputs!r}"
            )
        self._make(layers, inputs, outputs, name, trainable, **options)
        (self._overlay,) = [
            layer for layer in self.layers if isinstance(layer, LabelOverlay)
        ]
        self._readout_loss = LocalCrossentropy()

    def _check_task(self, task, loss):
        if task.name != "classification":
            raise ValueError(
                "A ForwardForwardModel tells classes apart, by the goodness of "
                f"candidates. Received: a loss of {task.kind}, loss={loss!r}. "
                "Use keras_ff.losses.ForwardForwardLoss()."
            )

    @property
    def inference(self) -> str:
        """How `predict` and `evaluate` predict."""
        return self._readout.inference

    @inference.setter
    def inference(self, value: str) -> None:
        self._readout.inference = check_inference(value)
        # They were traced with the other way.
        self.predict_function = None
        self.test_function = None

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
        """Trains the model, see `ForwardOnlyModel.fit`.

        Warns if arrays, or the first batch of a `PyDataset`, have features so
        large that a label hardly shows.
        """
        self._warn_of_faint_labels(x)
        return super().fit(
            x,
            y,
            batch_size=batch_size,
            epochs=epochs,
            verbose=verbose,
            callbacks=callbacks,
            validation_split=validation_split,
            validation_data=validation_data,
            shuffle=shuffle,
            class_weight=class_weight,
            sample_weight=sample_weight,
            initial_epoch=initial_epoch,
            steps_per_epoch=steps_per_epoch,
            validation_steps=validation_steps,
            validation_batch_size=validation_batch_size,
            validation_freq=validation_freq,
        )

    def _warn_of_faint_labels(self, x):
        if isinstance(x, keras.utils.PyDataset) and x.num_batches != 0:
            x, *_ = keras.utils.unpack_x_y_sample_weight(x[0])
        if not are_arrays(x):
            return
        x = without_pandas(x)
        check_samples(x)
        some = ops.convert_to_numpy(as_array(x)[:_LOOKED_AT])
        largest = np.abs(some.astype("float64")).max()
        scale = self._overlay.scale
        if largest > _FAINT * scale:
            warnings.warn(
                f"The features reach {largest:g}, the label in them is "
                f"{scale:g}: no layer will see it. Scale the input (pixels "
                "from 0 to 255 by 1 / 255), or make the model with a larger "
                "`label_scale`.",
                stacklevel=3,
            )

    def predict_early_exit(
        self,
        x: Data,
        threshold: float,
        batch_size: int | None = None,
        steps: int | None = None,
    ) -> EarlyExitPrediction:
        self._check_has_exits()
        return super().predict_early_exit(x, threshold, batch_size, steps)

    def calibrate_early_exit(
        self,
        x: Data,
        y: Data = None,
        max_accuracy_loss: float = 0.005,
        batch_size: int | None = None,
        steps: int | None = None,
        sample_weight: Data = None,
    ) -> ExitCalibration:
        self._check_has_exits()
        return super().calibrate_early_exit(
            x, y, max_accuracy_loss, batch_size, steps, sample_weight
        )

    def _check_has_exits(self):
        if self.inference == "readout":
            raise ValueError(
                "The read-out needs the features of all layers: there is no "
                "early exit. Received: inference='readout'. Set "
                "`model.inference = 'goodness'`."
            )

    def truncate(self, k: int | str | None = None) -> "ForwardOnlyModel":
        raise TypeError(
            "A ForwardForwardModel cannot be truncated: its read-out was "
            "trained on the features of all layers. `predict_early_exit` "
            "leaves layers out while predicting."
        )

    def call(
        self,
        inputs: Tensor,
        training: bool | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        if self.inference == "readout":
            logits = self._readout.classifier(self._neutral_features(inputs))
            # On PyTorch Keras multiplies float64 in float32.
            return ops.cast(logits, self._readout.compute_dtype)
        return super().call(inputs, training=training, mask=mask)

    def _neutral_features(self, inputs):
        """The features that the read-out sees, `(batch, units)`."""
        found = {}
        neutral = ops.full((1, 1, self.num_classes), 1.0 / self.num_classes)
        for call in self._graph.walk(
            inputs, False, arguments=self._candidates(neutral)
        ):
            features, _ = call()
            found[call.index] = ops.cast(
                features[:, 0], self._readout.compute_dtype
            )
            call.give(features)
        features = [found[i] for i in range(len(found))]
        return ops.concatenate(features[1:] or features, axis=-1)

    def _candidates(self, labels):
        return {self._overlay.name: {"labels": labels}}

    def _local_pass(self, x, y, sample_weight, gradients=None):
        if gradients is None:
            batch = super()._local_pass(x, y, sample_weight)
            if self.inference == "readout":
                batch = batch._replace(prediction=self(x, training=False))
            return batch
        logits, finite = self._learn_readout(x, y, sample_weight, gradients)
        labels = class_numbers(y)
        right = ops.clip(ops.cast(labels, "int32"), 0, self.num_classes - 1)
        wrong = ops.cast(self._readout.draw_negatives(y, logits), "int32")
        # The right label comes first, whatever it is.
        target = ops.zeros_like(right)
        batch = super()._local_pass(
            x,
            target,
            sample_weight,
            gradients,
            self._candidates(ops.stack([right, wrong], axis=1)),
        )
        # The read-out has no loss of its own in the logs.
        outputs = [self._marked(output, finite) for output in batch.outputs]
        return batch._replace(
            y=ops.convert_to_tensor(y), outputs=outputs, prediction=logits
        )

    def _learning_parts(self):
        return [self._readout.classifier, *super()._learning_parts()]

    def _learn_readout(self, x, y, sample_weight, gradients):
        """Trains the read-out; returns its logits, and if that went well."""
        features = ops.stop_gradient(self._neutral_features(x))
        classifier = self._readout.classifier

        def objective():
            logits = classifier(features)
            loss = self._readout_loss(y, logits, sample_weight=sample_weight)
            loss = self._share(ops.cast(loss, "float32"), self._readout_loss)
            return loss, logits

        return gradients.learn(classifier, objective)


def _with_overlay(layers, num_classes, label_scale):
    """The layers with the label overlay before the first."""
    if not isinstance(layers, (list, tuple)) or len(layers) < 2:
        raise TypeError(
            "`layers` must be a list of keras.Input(shape) and FFDense "
            f"layers. Received: {layers!r}"
        )
    if num_classes is None:
        raise TypeError("A ForwardForwardModel needs `num_classes`.")
    first, *rest = layers
    for layer in rest:
        if not isinstance(layer, FFDense):
            raise TypeError(
                "A ForwardForwardModel is made of FFDense layers; it flattens "
                f"its input itself. Received: {layer!r} of type "
                f"{type(layer).__name__}"
            )
    return [
        first,
        keras.layers.Flatten(name="flatten"),
        LabelOverlay(num_classes, label_scale, name="label_overlay"),
        RMSFeatures(axis=-1, name="input_normalization"),
        *rest,
    ]
