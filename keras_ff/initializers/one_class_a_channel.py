from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from keras_ff.type_aliases import Config
from keras_ff.type_aliases import Tensor


@keras.saving.register_keras_serializable(package="keras_ff")
class OneClassAChannel(keras.initializers.Initializer):
    """An assignment of every channel to one class alone.

    For the assignment of `keras_ff.layers.ChannelClassAssignment`, to be
    compared with the learned one: give it with `learnable_assignment=False`.

    Args:
        shuffle: bool, whether channels are dealt to classes at random, or in
            contiguous groups as in DeeperForward. Defaults to `False`.
        seed: int, of the shuffling. Defaults to `0`.

    Call arguments:
        shape: pair `(channels, num_classes)`.

    Example:

    ```python
    layer = keras_ff.layers.CAWConv2D(
        100,
        5,
        num_classes=10,
        assignment_initializer=keras_ff.initializers.OneClassAChannel(),
        learnable_assignment=False,
    )
    ```
    """

    def __init__(self, shuffle: bool = False, seed: int = 0) -> None:
        self.shuffle = shuffle
        self.seed = seed

    def __call__(
        self, shape: Sequence[int], dtype: str | None = None
    ) -> Tensor:
        channels, classes = shape
        numbers = np.arange(channels) * classes // channels
        if self.shuffle:
            np.random.default_rng(self.seed).shuffle(numbers)
        # Far beyond any temperature: the softmax gives 0 and 1.
        return ops.convert_to_tensor(1e4 * np.eye(classes)[numbers], dtype)

    def get_config(self) -> Config:
        return {"shuffle": self.shuffle, "seed": self.seed}
