import keras
from keras import ops

from keras_ff.checks import check_num_classes


@keras.saving.register_keras_serializable(package="keras_ff")
class LabelOverlay(keras.layers.Layer):
    """Writes candidate labels over the first features of every sample.

    The first `num_classes` features are replaced by the label, one-hot.

    Args:
        num_classes: int, at least 2.
        scale: float, the value that stands for the label; the other classes'
            features are 0. Defaults to `1.0`.
        **kwargs: base layer keyword arguments (`name`, `dtype`).

    Call arguments:
        inputs: tensor of shape `(batch, features)`.
        labels: candidate labels, class numbers of shape `(batch,
            candidates)`, or rows of class probabilities of shape `(batch or
            1, candidates, num_classes)`. `None` means every class in turn.

    Input shape:
        `(batch, features)`.

    Output shape:
        `(batch, candidates, features)`.

    Raises:
        ValueError: if the input has no more features than there are classes.

    Example:

    ```python
    overlay = LabelOverlay(10)
    candidates = overlay(x)  # (batch, 10, features): every label in turn
    pairs = overlay(x, labels=ops.stack([right, wrong], axis=1))
    ```

    Reference:

    - [Hinton, 2022](https://arxiv.org/abs/2212.13345), section 3.3
    """

    def __init__(self, num_classes, scale=1.0, **kwargs):
        super().__init__(**kwargs)
        if not 0.0 < scale < float("inf"):
            raise ValueError(
                "The value of a label must be positive and finite. "
                f"Received: scale={scale}"
            )
        self.num_classes = check_num_classes(num_classes)
        self.scale = scale

    def build(self, inputs_shape, labels_shape=None):
        if len(inputs_shape) != 2 or inputs_shape[1] is None:
            raise ValueError(
                "Labels are laid over vectors of known size. Received: an "
                f"input of shape {tuple(inputs_shape)}"
            )
        if inputs_shape[1] <= self.num_classes:
            raise ValueError(
                "The label takes the place of the first "
                f"{self.num_classes} features (num_classes), so there must "
                f"be more. Received: {inputs_shape[1]} features"
            )

    def call(self, inputs, labels=None):
        k = self.num_classes
        # Integers, which Keras leaves as they are, have no 1 / num_classes.
        inputs = ops.cast(inputs, self.compute_dtype)
        if labels is None:
            labels = ops.eye(k)[None]
        elif len(labels.shape) == 2:
            labels = ops.one_hot(labels, k)
        labels = self.scale * ops.cast(labels, inputs.dtype)
        batch, candidates = ops.shape(inputs)[0], labels.shape[1]
        rest = ops.broadcast_to(
            inputs[:, None, k:], (batch, candidates, inputs.shape[1] - k)
        )
        labels = ops.broadcast_to(labels, (batch, candidates, k))
        return ops.concatenate([labels, rest], axis=-1)

    def compute_output_shape(self, inputs_shape, labels_shape=None):
        candidates = labels_shape[1] if labels_shape else self.num_classes
        return (inputs_shape[0], candidates, inputs_shape[1])

    def get_config(self):
        config = super().get_config()
        config.update(num_classes=self.num_classes, scale=self.scale)
        return config
