"""What type hints of several rooms name."""

import os
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import Literal
from typing import TypeAlias

import keras

# Of the backend, of NumPy, or symbolic: Keras has no type for all of them.
Tensor: TypeAlias = Any
# What `fit` takes: arrays, a `tf.data.Dataset`, a `PyDataset`, a generator.
Data: TypeAlias = Any
# Of ints; `None` where a size is not known.
Shape: TypeAlias = tuple[Any, ...]
Sizes: TypeAlias = int | Sequence[int]
Path: TypeAlias = str | os.PathLike[str]
Config: TypeAlias = dict[str, Any]
DataFormat: TypeAlias = Literal["channels_last", "channels_first"]
Activation: TypeAlias = str | Callable[[Tensor], Tensor]
Initializer: TypeAlias = (
    str | keras.initializers.Initializer | Callable[..., Tensor]
)
Regularizer: TypeAlias = (
    str | keras.regularizers.Regularizer | Callable[[Tensor], Tensor]
)
Constraint: TypeAlias = (
    str | keras.constraints.Constraint | Callable[[Tensor], Tensor]
)
Normalization: TypeAlias = str | keras.layers.Layer
