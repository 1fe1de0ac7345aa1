import keras
import numpy as np

from keras_ff.contributions.contribution import Contribution
from keras_ff.contributions.contribution import Statistics
from keras_ff.type_aliases import Config


@keras.saving.register_keras_serializable(package="keras_ff")
class LossAware(Contribution):
    """Layers weighted by their loss: `w = softmax(-L)`.

    `L` is the mean loss of each layer over an epoch, without its
    regularizers: they measure the size of a layer, not how well it
    classifies (the published entropy term alone is 0.23 for 100 channels and
    1.84 for 800).

    In regression a loss has the unit of the targets. There losses are divided
    by that of the best layer, `w = softmax(-L / min(L))`, so that the weights
    do not depend on the unit.

    Args:
        source: the data on which the losses are measured. `"validation"`
            (the paper's text) needs validation data in `fit` and measures
            without dropout; `"training"` (the released code) takes the
            epoch's training batches. Defaults to `"validation"`.

    Raises:
        ValueError: if `source` is unknown.

    Example:

    ```python
    model = keras_ff.models.ForwardOnlyModel(
        layers, contribution=keras_ff.contributions.LossAware()
    )
    model.compile(optimizer="adam")
    model.fit(x, y, validation_split=0.1)
    model.contribution.weights
    ```

    Reference:

    - [Ghader et al., 2026](https://arxiv.org/abs/2606.09928), loss-aware
      layer contribution
    """

    def __init__(self, source: str = "validation") -> None:
        if source not in ("validation", "training"):
            raise ValueError(
                "`source` must be 'validation' or 'training'. "
                f"Received: source={source!r}"
            )
        self.source = source

    def initial_weights(self, num_layers: int) -> np.ndarray:
        return np.full(num_layers, 1 / num_layers, "float32")

    def update(self, statistics: Statistics) -> np.ndarray:
        loss = statistics.mean_loss() / statistics.loss_scale()
        weights = np.exp(loss.min() - loss)
        return weights / weights.sum()

    def get_config(self) -> Config:
        return {"source": self.source}
