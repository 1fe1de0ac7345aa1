import keras
import numpy as np

from keras_ff.contributions.contribution import Contribution
from keras_ff.contributions.contribution import Statistics


@keras.saving.register_keras_serializable(package="keras_ff")
class Interval(Contribution):
    """The contiguous range of layers with the best validation accuracy.

    After every epoch all ranges `start..end` are compared by the validation
    accuracy of their summed goodness; of equal ones the earliest end wins,
    then the earliest start. `predict` does not compute the layers after the
    range.

    Example:

    ```python
    model = keras_ff.models.ForwardOnlyModel(
        layers, contribution=keras_ff.contributions.Interval()
    )
    model.compile(optimizer="adam")
    model.fit(x, y, validation_split=0.1)
    model.contribution.weights  # 1 inside the range, 0 outside
    ```

    Reference:

    - [Sun et al., 2025](https://openreview.net/forum?id=kOYnXVQCtA), signal
      integrating and pruning
    """

    source = "validation"
    measures_intervals = True

    def initial_weights(self, num_layers: int) -> np.ndarray:
        return np.ones(num_layers, "float32")

    def update(self, statistics: Statistics) -> np.ndarray:
        accuracy = statistics.interval_accuracy()
        # Transposed, so that the first maximum has the earliest end.
        by_end = np.nan_to_num(accuracy.T, nan=-1.0)
        end, start = np.unravel_index(np.argmax(by_end), by_end.shape)
        weights = np.zeros(len(accuracy), "float32")
        weights[start : end + 1] = 1
        return weights
