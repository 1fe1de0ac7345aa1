import keras
import numpy as np

from keras_ff.contributions.contribution import Contribution
from keras_ff.type_aliases import Config


@keras.saving.register_keras_serializable(package="keras_ff")
class SkipFirst(Contribution):
    """The plain sum of all layers but the first ones.

    Skipping one is the convention of the original Forward-Forward, whose
    first layer sees the label itself. The last layer always counts.

    Args:
        number: int, how many layers to skip. Defaults to `1`.

    Example:

    ```python
    model = keras_ff.models.ForwardOnlyModel(
        layers, contribution=keras_ff.contributions.SkipFirst()
    )
    ```

    Reference:

    - [Hinton, 2022](https://arxiv.org/abs/2212.13345), section 3.3
    """

    def __init__(self, number: int = 1) -> None:
        if not isinstance(number, int) or number < 1:
            raise ValueError(
                "`number` must be a positive integer. "
                f"Received: number={number!r}"
            )
        self.number = number

    def initial_weights(self, num_layers: int) -> np.ndarray:
        weights = np.ones(num_layers, "float32")
        weights[: min(self.number, num_layers - 1)] = 0
        return weights

    def get_config(self) -> Config:
        return {"number": self.number}
