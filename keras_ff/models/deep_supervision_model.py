import keras
from keras import tree

from keras_ff import keras_private
from keras_ff.labels import in_form
from keras_ff.labels import is_rows
from keras_ff.losses import LocalCrossentropy
from keras_ff.models.exact_saving import ExactSaving
from keras_ff.models.loss_rules import check_form
from keras_ff.models.loss_rules import check_loss
from keras_ff.models.trainers import Loops


@keras.saving.register_keras_serializable(package="keras_ff")
class DeepSupervisionModel(Loops, ExactSaving, keras.Model):
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
        ValueError: in `compile`, if `loss` does not take logits.

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
            loss: as in `ForwardOnlyModel`, applied to every output.
            metrics: of the summed prediction. `None` means `["accuracy"]`.
            **kwargs: the other arguments of `keras.Model.compile`.
        """
        self._metrics_take_rows = None
        super().compile(
            optimizer=optimizer,
            loss=check_loss(loss, LocalCrossentropy),
            metrics=["accuracy"] if metrics is None else metrics,
            **kwargs,
        )

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        check_form(self.loss, y)
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
        check_form(self.loss, y)
        if self._metrics_take_rows is None:
            self._metrics_take_rows = is_rows(y)
        # Keras chooses what "accuracy" means by the first labels it sees.
        y = in_form(y, self._metrics_take_rows, prediction)
        return super().compute_metrics(x, y, prediction, sample_weight)

    def predict(self, *args, **kwargs):
        """The summed goodness (logits) of samples, as in `keras.Model`."""
        return sum(tree.flatten(super().predict(*args, **kwargs)))

    def predict_on_batch(self, x):
        return sum(tree.flatten(super().predict_on_batch(x)))
