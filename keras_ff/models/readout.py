import random

import keras
from keras import ops

from keras_ff.checks import check_bool
from keras_ff.checks import check_number
from keras_ff.contributions import Contribution
from keras_ff.contributions import Uniform
from keras_ff.models import tasks


@keras.saving.register_keras_serializable(package="keras_ff")
class Readout(keras.layers.Layer):
    """The last layer of a `LocalLossModel`: all goodness combined.

    It also holds the state and the options that belong to the whole model,
    so that stock saving and cloning carry them: the contribution's weights,
    which layers have no say, the number of finished epochs and the seed of
    the shuffling.

    Args:
        contribution: a `keras_ff.contributions.Contribution`, or `None` for
            `Uniform()`.
        layer_clipnorm: see `ForwardOnlyModel`.
        layer_metrics: see `ForwardOnlyModel`.
        task: name of what the scores are for, see `keras_ff.models.tasks`.
            `compile` sets it; predictions of values are averaged, not summed.
        dtype: that of the goodness. Defaults to `"float32"`, whatever the
            session's policy.
        **kwargs: base layer keyword arguments.

    Input shape:
        List of `(batch, num_classes)`, one a local layer.

    Output shape:
        `(batch, num_classes)`, of this dtype.
    """

    def __init__(
        self,
        contribution=None,
        layer_clipnorm=None,
        layer_metrics=False,
        task="classification",
        name="readout",
        dtype="float32",
        **kwargs,
    ):
        super().__init__(name=name, dtype=dtype, **kwargs)
        contribution = Uniform() if contribution is None else contribution
        if not isinstance(contribution, Contribution):
            raise TypeError(
                "`contribution` must be a keras_ff.contributions.Contribution "
                "or None. Received: "
                f"contribution={contribution!r} of type "
                f"{type(contribution).__name__}"
            )
        if layer_clipnorm is not None:
            layer_clipnorm = check_number(
                "layer_clipnorm", layer_clipnorm, positive=True
            )
        check_bool("layer_metrics", layer_metrics)
        if contribution._variable is not None:
            # It belongs to another model already.
            contribution = type(contribution).from_config(
                contribution.get_config()
            )
        self.contribution = contribution
        self.layer_clipnorm = layer_clipnorm
        self.layer_metrics = layer_metrics
        self.task = task

    def build(self, input_shape):
        num_layers = len(input_shape)
        self.contribution_weights = self.add_weight(
            name="contribution",
            shape=(num_layers,),
            initializer=lambda shape, dtype: ops.convert_to_tensor(
                self.contribution.initial_weights(num_layers), dtype
            ),
            trainable=False,
            # `combine` is also called outside of this layer's dtype.
            autocast=False,
        )
        self.epoch = self.add_weight(
            name="epoch",
            shape=(),
            initializer="zeros",
            dtype="int32",
            trainable=False,
        )
        # Drawn from Python's generator, as Keras's default seeds are.
        seed = random.randrange(2**31)
        self.shuffle_seed = self.add_weight(
            name="shuffle_seed",
            shape=(),
            initializer=lambda shape, dtype: ops.convert_to_tensor(seed, dtype),
            dtype="int32",
            trainable=False,
        )
        # One for a layer that never learned though others did; minus one for
        # one whose head was made otherwise.
        self.silent = self.add_weight(
            name="silent",
            shape=(num_layers,),
            initializer="zeros",
            dtype="float32",
            trainable=False,
            autocast=False,
        )
        self.contribution._variable = self.contribution_weights

    def call(self, inputs):
        return self.combine(enumerate(inputs))

    def combine(self, numbered_goodness):
        """The weighted sum, or mean, of pairs of layer number and goodness.

        Layers that are left out must have the weight zero.
        """
        total = sum(
            self.contribution_weights[i]
            * ops.cast(goodness, self.compute_dtype)
            for i, goodness in numbered_goodness
        )
        if not tasks.get(self.task).averages:
            return total
        weight = ops.sum(self.contribution_weights)
        return total / ops.cast(
            ops.where(weight == 0, 1.0, weight), self.compute_dtype
        )

    def votes(self):
        """One for every layer that has a say, else zero: `(layers,)`."""
        return 1.0 - ops.maximum(ops.convert_to_tensor(self.silent), 0.0)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape[0])

    def get_config(self):
        config = super().get_config()
        config.update(
            contribution=keras.saving.serialize_keras_object(self.contribution),
            layer_clipnorm=self.layer_clipnorm,
            layer_metrics=self.layer_metrics,
            task=self.task,
        )
        return config

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        config["contribution"] = keras.saving.deserialize_keras_object(
            config["contribution"]
        )
        return cls(**config)
