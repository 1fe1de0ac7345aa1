from typing import Protocol
from typing import Self

import keras
import numpy as np

from keras_ff.type_aliases import Config


class Statistics(Protocol):
    """What `fit` measured of every layer, see `Contribution.update`."""

    def mean_loss(self) -> np.ndarray: ...

    def loss_scale(self) -> float: ...

    def interval_accuracy(self) -> np.ndarray: ...


class Contribution:
    """Base class: one weight per local layer.

    The model's prediction is the weighted sum of its layers' goodness. The
    weights live in the model as non-trainable state; `fit` asks `update` for
    new ones at the end of every epoch, from what it measured on the data
    named by `source`. `evaluate` and `predict` never change them.

    A subclass implements `initial_weights(num_layers)`, and, if the weights
    learn, sets `source` and implements `update(statistics)`.

    Attributes:
        source: `None` (the weights are fixed), `"training"` or
            `"validation"`.
        measures_intervals: bool, whether `update` needs the accuracy of every
            interval of layers.
    """

    source = None
    measures_intervals = False
    _variable = None

    def initial_weights(self, num_layers: int) -> np.ndarray:
        """Weights before the first update.

        Args:
            num_layers: int, the number of local layers.

        Returns:
            NumPy array of shape `(num_layers,)`.
        """
        raise NotImplementedError

    def update(self, statistics: Statistics) -> np.ndarray:
        """Weights after an epoch.

        Args:
            statistics: has `mean_loss()`, NumPy array `(num_layers,)`, the
                mean loss of each layer without regularizers,
                `loss_scale()`, a float by which losses compare (1, in
                regression the best layer's), and `interval_accuracy()`, NumPy
                array `(num_layers, num_layers)` whose entry `[s, e]` is the
                accuracy of the summed goodness of layers `s` to `e`, NaN
                where `s > e`.

        Returns:
            NumPy array of shape `(num_layers,)`.
        """
        raise NotImplementedError

    @property
    def weights(self) -> np.ndarray:
        """The weights in force, a NumPy array `(num_layers,)`."""
        if self._variable is None:
            raise ValueError(
                f"{type(self).__name__} has no weights yet: they belong to a "
                "model. Read `model.contribution.weights`."
            )
        return np.array(keras.ops.convert_to_numpy(self._variable))

    def __repr__(self):
        arguments = [f"{k}={v!r}" for k, v in self.get_config().items()]
        return f"{type(self).__name__}({', '.join(arguments)})"

    def get_config(self) -> Config:
        return {}

    @classmethod
    def from_config(cls, config: Config) -> Self:
        return cls(**config)
