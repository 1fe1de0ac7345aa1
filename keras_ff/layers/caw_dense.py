import keras

from keras_ff.layers.assigned_layer import AssignedLayer
from keras_ff.layers.assigned_layer import assignment_head
from keras_ff.layers.local_layer import LocalLayer
from keras_ff.layers.normalization import get_normalization


@keras.saving.register_keras_serializable(package="keras_ff")
class CAWDense(AssignedLayer, LocalLayer):
    """A local dense layer whose units are assigned to classes.

    CAW-Conv without a map: `y = dropout(relu(stop_gradient(x) @ kernel))`,
    `goodness = y @ softmax(W / T)`, `features = normalization(y)`.
    `layer.kernel`, `layer.assignment` (`W`) and `layer.log_temperature` can
    be read and set.

    Args:
        units: int, the number of units.
        num_classes: int, at least 2. It need not divide `units`.
        activation: defaults to `"relu"`.
        use_bias: bool. Defaults to `False`.
        dropout: float in `[0, 1)`. Defaults to `0.1`.
        normalization: `"group"`, `"layer"`, `"rms"` or `None`. Defaults to
            `"layer"`.
        kernel_initializer: defaults to uniform within `1 / sqrt(fan_in)`.
        kernel_regularizer: defaults to `None`.
        pooling, temperature, learnable_temperature, temperature_decay,
            temperature_range, assignment_initializer,
            assignment_regularizers: as in `CAWConv2D`; there is no map, so
            `pooling` changes nothing.
        **kwargs: base layer keyword arguments (`name`, `dtype`).

    Call arguments:
        inputs: tensor of shape `(batch, features)`.
        training: bool, whether dropout is active.

    Input shape:
        `(batch, features)`.

    Output shape:
        A pair `(features, goodness)`: `(batch, units)`, and
        `(batch, num_classes)` in float32.

    Raises:
        ValueError: if an argument is out of range.

    Example:

    ```python
    features, goodness = keras_ff.layers.CAWDense(200, num_classes=10)(x)
    ```

    Reference:

    - [Ghader et al., 2026](https://arxiv.org/abs/2606.09928)
    """

    def __init__(
        self,
        units,
        num_classes,
        activation="relu",
        use_bias=False,
        dropout=0.1,
        normalization="layer",
        kernel_initializer=None,
        kernel_regularizer=None,
        **kwargs,
    ):
        if normalization == "instance":
            raise ValueError(
                "Instance normalization of a dense activation is zero "
                "everywhere. Use normalization='layer', 'group', 'rms' or "
                f"None. Received: normalization={normalization!r}"
            )
        head = assignment_head(num_classes, kwargs)
        super().__init__(**kwargs)
        self.dense = keras.layers.Dense(
            units,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer
            or keras.initializers.VarianceScaling(
                1 / 3, mode="fan_in", distribution="uniform"
            ),
            kernel_regularizer=kernel_regularizer,
            dtype=self.dtype_policy,
            name="dense",
        )
        self.dropout = keras.layers.Dropout(
            dropout, dtype=self.dtype_policy, name="dropout"
        )
        self.layers = [self.dense, self.dropout]
        self.goodness = head
        self._normalization_argument = normalization
        self.normalization = get_normalization(
            normalization, num_classes=num_classes, dtype=self.dtype_policy
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
        for name in (
            "units",
            "activation",
            "use_bias",
            "kernel_initializer",
            "kernel_regularizer",
        ):
            config[name] = dense[name]
        config["dropout"] = self.dropout.rate
        config["normalization"] = self._normalization_argument
        return config
