import inspect
from collections.abc import Callable
from typing import Any

import keras

from keras_ff.checks import check_images
from keras_ff.checks import check_sequences
from keras_ff.checks import is_integer
from keras_ff.layers.delegate import Delegate
from keras_ff.layers.local_layer import LocalLayer
from keras_ff.layers.normalization import get_normalization
from keras_ff.layers.normalization import serialize_normalization
from keras_ff.type_aliases import Activation
from keras_ff.type_aliases import Config
from keras_ff.type_aliases import Normalization
from keras_ff.type_aliases import Shape

# By the number of axes besides batch and channels.
_CHECKS: dict[int | None, Callable[..., None]] = {
    1: check_sequences,
    2: check_images,
}


class KernelLayer(LocalLayer):
    """One layer with a kernel, dropout, a goodness head, a normalization.

    What the local convolutions and dense layers share: `features =
    normalization(dropout(activation(operation(x))))`. Not made by users
    directly: `LocalBlock` composes arbitrary layers.

    A subclass names the classes of its operation and its head. Arguments of
    either go to it, and come back in the config.

    Args:
        dropout: float in `[0, 1)`, element-wise, before the head.
        normalization: `"instance"`, `"group"`, `"layer"`, `"rms"`, a Keras
            layer without trainable weights, or `None`.
        activation: defaults to `"relu"`.
        use_bias: bool. Defaults to `False`.
        **kwargs: arguments of the operation, of the head and of
            `keras.layers.Layer`.
    """

    operation_class: Any = None
    head_class: Any = None

    kernel = Delegate("operation")
    bias = Delegate("operation")

    def __init__(
        self,
        dropout: float,
        normalization: Normalization | None,
        activation: Activation | None = "relu",
        use_bias: bool = False,
        **kwargs: Any,
    ) -> None:
        operation = self._take(self._operation_arguments(), kwargs)
        head = self._take(self._head_arguments(), kwargs)
        super().__init__(**kwargs)
        if is_integer(operation.get("units")):
            # Keras refuses NumPy's.
            operation["units"] = int(operation["units"])
        self.operation = self.operation_class(
            activation=activation,
            use_bias=use_bias,
            dtype=self.dtype_policy,
            name=self.operation_class.__name__.lower(),
            **operation,
        )
        # A dense layer's units are always the last axis.
        data_format = getattr(self.operation, "data_format", "channels_last")
        if "data_format" in _parameters(self.head_class):
            head["data_format"] = data_format
        self.head = self.head_class(
            dtype=self.dtype_policy, name="head", **head
        )
        self.dropout = keras.layers.Dropout(
            dropout, dtype=self.dtype_policy, name="dropout"
        )
        self.layers = [self.operation, self.dropout]
        self._normalization_argument = normalization
        self.normalization = get_normalization(
            normalization,
            num_classes=getattr(self.head, "num_classes", None),
            dtype=self.dtype_policy,
            data_format=data_format,
            name="normalization",
        )

    def build(self, input_shape: Shape) -> None:
        check = _CHECKS.get(getattr(self.operation, "rank", None))
        if check is not None:
            check(
                f"{type(self).__name__} '{self.name}'",
                input_shape,
                " What stays a vector goes to a dense layer, such as "
                "keras_ff.layers.CAWDense.",
            )
        super().build(input_shape)

    @classmethod
    def _operation_arguments(cls):
        # What is done to a layer later is kept with the sub-layers' state.
        later = {"lora_rank", "lora_alpha", "quantization_config"}
        return _parameters(cls.operation_class) - later

    @classmethod
    def _head_arguments(cls):
        return _parameters(cls.head_class) - {"data_format"}

    @staticmethod
    def _take(names, kwargs):
        """The arguments of these names, taken out of `kwargs`."""
        return {name: kwargs.pop(name) for name in names & set(kwargs)}

    def get_config(self) -> Config:
        config = super().get_config()
        for part, names in (
            (self.operation, self._operation_arguments()),
            (self.head, self._head_arguments()),
        ):
            arguments = part.get_config()
            config.update({k: arguments[k] for k in names & set(arguments)})
        config["dropout"] = self.dropout.rate
        config["normalization"] = serialize_normalization(self)
        return config


def _parameters(cls):
    """The names of a constructor's own arguments."""
    parameters = inspect.signature(cls.__init__).parameters.values()
    return {
        parameter.name
        for parameter in parameters
        if parameter.kind is not parameter.VAR_KEYWORD
    } - {"self"}
