import keras
import numpy as np

from keras_ff.contributions.contribution import Contribution


@keras.saving.register_keras_serializable(package="keras_ff")
class SkipFirst(Contribution):
    """The plain sum of all layers but the first.

    The convention of the original Forward-Forward, whose first layer sees
    the label itself. A model of one layer uses that layer.

    Example:

    ```python
    model = keras_ff.models.ForwardOnlyModel(
        layers, contribution=keras_ff.contributions.SkipFirst()
    )
    ```

    Reference:

    - [Hinton, 2022](https://arxiv.org/abs/2212.13345), section 3.3
    """

    def initial_weights(self, num_layers):
        weights = np.ones(num_layers, "float32")
        weights[0] = num_layers == 1
        return weights
