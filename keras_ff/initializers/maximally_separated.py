from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from keras_ff.type_aliases import Config
from keras_ff.type_aliases import Tensor


@keras.saving.register_keras_serializable(package="keras_ff")
class MaximallySeparated(keras.initializers.Initializer):
    """Unit vectors as far from each other as vectors can be.

    The corners of a regular simplex around the origin, randomly rotated: any
    two of `n` vectors have the cosine `-1 / (n - 1)`. For the prototypes of
    `keras_ff.layers.HypersphericalPrototypes`.

    Args:
        seed: int or `None`, the seed of the rotation.

    Call arguments:
        shape: tuple; the last axis is the vectors', the others number them.

    Raises:
        ValueError: if the vectors have too few dimensions, less than their
            number minus one.

    Example:

    ```python
    head = keras_ff.layers.HypersphericalPrototypes(
        10, prototype_initializer=keras_ff.initializers.MaximallySeparated()
    )
    ```

    Reference:

    - [Kasarla et al., 2022](https://arxiv.org/abs/2206.08704)
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = seed
        self._rotation = keras.initializers.Orthogonal(seed=seed)

    def __call__(
        self, shape: Sequence[int], dtype: str | None = None
    ) -> Tensor:
        *numbers, dimensions = shape
        number = int(np.prod(numbers))
        if number < 2 or dimensions < number - 1:
            raise ValueError(
                "Maximally separated vectors need to be at least 2, and at "
                "least their number minus one of dimensions. Received: "
                f"{number} vectors of {dimensions} dimensions (shape="
                f"{tuple(shape)}). Give more dimensions, fewer vectors or "
                "another initializer ('orthogonal')."
            )
        centered = np.eye(number) - 1 / number
        # The rows of `centered` lie in a space of one dimension less.
        axes = np.linalg.svd(centered)[2][:-1]
        corners = centered @ axes.T
        corners /= np.linalg.norm(corners, axis=-1, keepdims=True)
        rotation = ops.convert_to_numpy(
            self._rotation((number - 1, dimensions), "float32")
        )
        return ops.convert_to_tensor((corners @ rotation).reshape(shape), dtype)

    def get_config(self) -> Config:
        return {"seed": self.seed}
