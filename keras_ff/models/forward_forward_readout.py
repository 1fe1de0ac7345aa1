import random

import keras
from keras import ops

from keras_ff.labels import class_rows
from keras_ff.models.readout import Readout

NEGATIVES = ("hard", "uniform")
INFERENCES = ("goodness", "readout")


@keras.saving.register_keras_serializable(package="keras_ff")
class ForwardForwardReadout(Readout):
    """The last layer of a `ForwardForwardModel`.

    Besides what every model has, it holds the softmax read-out, the choice of
    negative labels and the way of inference.

    Args:
        units: int, the width of the features that the read-out sees.
        negatives: see `ForwardForwardModel`.
        inference: see `ForwardForwardModel`.
        **kwargs: arguments of `Readout`.
    """

    def __init__(self, units, negatives="hard", inference="goodness", **kwargs):
        super().__init__(**kwargs)
        if negatives not in NEGATIVES:
            raise ValueError(
                f"`negatives` must be one of {NEGATIVES}. "
                f"Received: negatives={negatives!r}"
            )
        self.units = units
        self.negatives = negatives
        self.inference = check_inference(inference)
        self._seeds = keras.random.SeedGenerator(random.randrange(2**31))

    def build(self, input_shape):
        super().build(input_shape)
        self.classifier = _Classifier(
            input_shape[0][-1],
            use_bias=False,
            kernel_initializer="zeros",
            dtype=self.compute_dtype,
            name="classifier",
        )
        self.classifier.build((None, self.units))

    def draw_negatives(self, y, logits):
        """Wrong labels, by the read-out's probabilities or evenly.

        Args:
            y: labels; one that is no class is taken for some class.
            logits: the read-out's, of shape `(batch, num_classes)`.

        Returns:
            Class numbers of shape `(batch,)`, never the label.
        """
        if self.negatives == "uniform":
            logits = ops.zeros_like(logits)
        right = class_rows(y, logits)
        right = ops.where(ops.isfinite(right), right, 0.0)
        noise = keras.random.uniform(
            ops.shape(logits),
            minval=1e-7,
            maxval=1.0,
            dtype=logits.dtype,
            seed=self._seeds,
        )
        # The largest of logits with Gumbel noise is a draw from their softmax.
        scores = ops.log_softmax(logits) - ops.log(-ops.log(noise))
        highest = ops.max(right, axis=-1, keepdims=True)
        scores = ops.where(right == highest, -1e9, scores)
        return ops.argmax(scores, axis=-1)

    def get_config(self):
        config = super().get_config()
        config.update(
            units=self.units,
            negatives=self.negatives,
            inference=self.inference,
        )
        return config


class _Classifier(keras.layers.Dense):
    """The read-out. Keras quantizes `Dense` only, not what derives from it.

    It is small, and made by `build`: no config could say that it is quantized.
    """


def check_inference(inference):
    if inference not in INFERENCES:
        raise ValueError(
            f"`inference` must be one of {INFERENCES}. "
            f"Received: inference={inference!r}"
        )
    return inference
