import keras

from keras_ff.layers.local_layer import LocalLayer
from keras_ff.layers.normalization import get_normalization

DENSE_ARGUMENTS = (
    "units",
    "activation",
    "use_bias",
    "kernel_initializer",
    "bias_initializer",
    "kernel_regularizer",
    "bias_regularizer",
    "kernel_constraint",
    "bias_constraint",
)


class LocalDense(LocalLayer):
    """A dense layer, dropout, a goodness head and a normalization.

    What the dense local layers share: `features =
    normalization(dropout(activation(x @ kernel)))`. Not made by users
    directly: `LocalBlock` composes arbitrary layers.

    Args:
        goodness: the head, a Keras layer.
        dropout: float in `[0, 1)`, before the head.
        normalization: `"group"`, `"layer"`, `"rms"`, a Keras layer or `None`.
        **kwargs: arguments of `keras.layers.Dense`.
    """

    def __init__(
        self,
        units,
        goodness,
        dropout,
        normalization,
        activation="relu",
        use_bias=False,
        **kwargs,
    ):
        if normalization == "instance":
            raise ValueError(
                "Instance normalization of a dense activation is zero "
                "everywhere. Use normalization='layer', 'group', 'rms' or "
                f"None. Received: normalization={normalization!r}"
            )
        dense_arguments = {
            name: kwargs.pop(name) for name in DENSE_ARGUMENTS if name in kwargs
        }
        super().__init__(**kwargs)
        self.dense = keras.layers.Dense(
            units,
            activation=activation,
            use_bias=use_bias,
            dtype=self.dtype_policy,
            name="dense",
            **dense_arguments,
        )
        self.dropout = keras.layers.Dropout(
            dropout, dtype=self.dtype_policy, name="dropout"
        )
        self.layers = [self.dense, self.dropout]
        self.goodness = goodness
        self._normalization_argument = normalization
        self.normalization = get_normalization(
            normalization,
            num_classes=getattr(goodness, "num_classes", None),
            dtype=self.dtype_policy,
        )

    @property
    def kernel(self):
        return self.dense.kernel

    @kernel.setter
    def kernel(self, value):
        self.dense.kernel.assign(value)

    def get_config(self):
        config = super().get_config()
        dense = self.dense.get_config()
        config.update({name: dense[name] for name in DENSE_ARGUMENTS})
        config["dropout"] = self.dropout.rate
        config["normalization"] = self._normalization_argument
        return config
