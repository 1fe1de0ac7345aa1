import keras

from keras_ff.layers.local_layer import LocalLayer
from keras_ff.layers.normalization import get_normalization


class KernelLayer(LocalLayer):
    """One layer with a kernel, dropout, a goodness head, a normalization.

    What the local convolutions and dense layers share: `features =
    normalization(dropout(operation(x)))`.
    """

    # The arguments of the operation, a subclass's to name.
    arguments = ()

    @classmethod
    def _take_arguments(cls, kwargs):
        """The operation's arguments, taken out of `kwargs`."""
        return {k: kwargs.pop(k) for k in cls.arguments if k in kwargs}

    def _compose(self, operation, goodness, dropout, normalization):
        self.dropout = keras.layers.Dropout(
            dropout, dtype=self.dtype_policy, name="dropout"
        )
        self.layers = [operation, self.dropout]
        self.head = goodness
        self._normalization_argument = normalization
        self.normalization = get_normalization(
            normalization,
            num_classes=getattr(goodness, "num_classes", None),
            dtype=self.dtype_policy,
            data_format=getattr(operation, "data_format", None),
        )

    @property
    def kernel(self):
        return self.layers[0].kernel

    @kernel.setter
    def kernel(self, value):
        self.layers[0].kernel.assign(value)

    def get_config(self):
        config = super().get_config()
        operation = self.layers[0].get_config()
        config.update({name: operation[name] for name in self.arguments})
        config["dropout"] = self.dropout.rate
        config["normalization"] = self._normalization_argument
        return config
