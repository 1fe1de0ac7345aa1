import numbers

import keras

from keras_ff.layers.kernel_layer import KernelLayer


class LocalDense(KernelLayer):
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

    arguments = (
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
        if isinstance(units, numbers.Integral):
            # Keras refuses NumPy's.
            units = int(units)
        dense_arguments = self._take_arguments(kwargs)
        super().__init__(**kwargs)
        self.dense = keras.layers.Dense(
            units,
            activation=activation,
            use_bias=use_bias,
            dtype=self.dtype_policy,
            name="dense",
            **dense_arguments,
        )
        self._compose(self.dense, goodness, dropout, normalization)
