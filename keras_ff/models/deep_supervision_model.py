import keras
from keras import tree

from keras_ff import keras_private
from keras_ff.models.exact_saving import ExactSaving


@keras.saving.register_keras_serializable(package="keras_ff")
class DeepSupervisionModel(ExactSaving, keras.Model):
    """All local losses, but gradients cross the layers.

    The baseline between local learning and backpropagation: every layer has
    a goodness head and a loss of its own, and the sum of the losses is
    differentiated end to end. What a `ForwardOnlyModel` of the same layers
    loses against it is the price of locality alone.

    It is a functional model: `DeepSupervisionModel(inputs, outputs)` with
    `outputs` the goodness of the layers, all of shape `(batch, num_classes)`.
    `predict` and metrics use their sum.

    Args:
        inputs, outputs, name: as in `keras.Model`.

    Raises:
        TypeError: in `compile`, if `loss` is not a `keras.losses.Loss`.

    Example:

    ```python
    model = keras_ff.applications.tiny_cnn(
        (32, 32, 3), 10, method="deep_supervision"
    )
    model.compile("adam", loss=keras_ff.losses.LocalCrossentropy())
    ```

    Reference:

    - [Lee et al., 2015](https://arxiv.org/abs/1409.5185)
    """

    def compile(self, optimizer="rmsprop", loss=None, metrics=None, **kwargs):
        """Configures the model for training, as in `keras.Model`.

        Args:
            optimizer: as in `keras.Model`.
            loss: a `keras.losses.Loss` on logits, applied to every output.
            metrics: of the summed prediction. `None` means `["accuracy"]`.
            **kwargs: the other arguments of `keras.Model.compile`.
        """
        if not isinstance(loss, keras.losses.Loss):
            raise TypeError(
                "`loss` must be a keras.losses.Loss on logits, for instance "
                "keras_ff.losses.LocalCrossentropy(). Received: "
                f"loss={loss!r}"
            )
        super().compile(
            optimizer=optimizer,
            loss=loss,
            metrics=["accuracy"] if metrics is None else metrics,
            **kwargs,
        )

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        losses = [
            self.loss(y, goodness, sample_weight=sample_weight)
            # Keras gives one output without a list.
            for goodness in tree.flatten(y_pred)
        ]
        penalties = [
            keras_private.additional_loss(self, p) for p in self.losses
        ]
        return sum(losses) + sum(penalties)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        prediction = sum(tree.flatten(y_pred))
        return super().compute_metrics(x, y, prediction, sample_weight)

    def predict(self, *args, **kwargs):
        """The summed goodness (logits) of samples, as in `keras.Model`."""
        return sum(tree.flatten(super().predict(*args, **kwargs)))

    def predict_on_batch(self, x):
        return sum(tree.flatten(super().predict_on_batch(x)))
