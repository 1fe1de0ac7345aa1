import keras
import numpy as np

from keras_ff.contributions.contribution import Contribution


@keras.saving.register_keras_serializable(package="keras_ff")
class Uniform(Contribution):
    """Every layer counts the same: the plain sum of the layers' goodness.

    Example:

    ```python
    model = keras_ff.models.ForwardOnlyModel(
        layers, contribution=keras_ff.contributions.Uniform()
    )
    ```
    """

    def initial_weights(self, num_layers: int) -> np.ndarray:
        return np.ones(num_layers, "float32")
