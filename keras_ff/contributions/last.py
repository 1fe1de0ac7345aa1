import keras
import numpy as np

from keras_ff.contributions.contribution import Contribution


@keras.saving.register_keras_serializable(package="keras_ff")
class Last(Contribution):
    """Only the last local layer predicts.

    Example:

    ```python
    model = keras_ff.models.ForwardOnlyModel(
        layers, contribution=keras_ff.contributions.Last()
    )
    ```
    """

    def initial_weights(self, num_layers: int) -> np.ndarray:
        return np.eye(num_layers, dtype="float32")[-1]
