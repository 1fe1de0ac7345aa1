from typing import Any

import keras
from keras import ops

from keras_ff.checks import check_integer
from keras_ff.checks import check_number
from keras_ff.layers import GoodnessProjection
from keras_ff.layers.local_objective import LocalObjective
from keras_ff.layers.unit_norm import unit_norm
from keras_ff.layers.unit_norm import without_dead
from keras_ff.type_aliases import Config
from keras_ff.type_aliases import DataFormat
from keras_ff.type_aliases import Tensor


@keras.saving.register_keras_serializable(package="keras_ff")
class SupervisedContrast(LocalObjective):
    """Samples of a class become alike, those of other classes unlike.

    The features are pooled and projected by a learned linear map, and put on
    the unit sphere. The loss of sample `i` of a batch is

    ```
    -1 / |P(i)| sum_{j in P(i)} log(exp(p_i . p_j / T)
                                    / sum_{k != i} exp(p_i . p_k / T))
    ```

    with `P(i)` the other samples of its class. A sample that is the only one
    of its class in the batch has the loss zero, and is one of the others to
    the rest: with many classes take large batches. Samples of weight zero are
    no others. With soft labels a sample is in `P(i)` to the degree that the
    product of the two rows of probabilities says.

    HCL-FF averages over the whole map, and lowers the temperature from 0.8 to
    0.08 while it trains. Here it is constant, and the default grid keeps
    where in the map something is: a normalization of every channel would
    make a plain average zero.

    Args:
        weight: float, at least 0, over the loss of the goodness. Defaults to
            `1.0`, as in HCL-FF.
        temperature: positive float. Defaults to `0.2`.
        units: int, the dimensions of the sphere. Defaults to `128`, as in
            HCL-FF.
        pooling: how a map becomes a vector: `"average"`, `"flatten"` or an
            int `n`, a grid of `n` by `n` averages. Defaults to `4`.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to
            Keras's setting.
        **kwargs: base layer keyword arguments (`name`, `dtype`).

    Input shape:
        `(batch, ..., channels)`, any number of spatial axes; for a grid two
        or none.

    Output shape:
        `(batch,)`.

    Raises:
        ValueError: if an argument is out of range.
        TypeError: if an argument is of another type.

    Example:

    ```python
    block = keras_ff.layers.LocalBlock(
        keras.layers.Conv2D(64, 3, padding="same", activation="relu"),
        goodness=keras_ff.layers.GoodnessProjection(10),
        objectives=[keras_ff.objectives.SupervisedContrast()],
    )
    ```

    Reference:

    - [HCL-FF, 2026](https://arxiv.org/abs/2605.24797)
    - [Khosla et al., 2020](https://arxiv.org/abs/2004.11362), Eq. 2
    """

    needs_classes = True

    def __init__(
        self,
        weight: float = 1.0,
        temperature: float = 0.2,
        units: int = 128,
        pooling: int | str = 4,
        data_format: DataFormat | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(weight, **kwargs)
        check_integer("units", units, minimum=2)
        self.temperature = check_number(
            "temperature", temperature, positive=True
        )
        # A linear map of pooled features, to so many numbers.
        self.projection = GoodnessProjection(
            units,
            pooling=pooling,
            data_format=data_format,
            dtype=self.dtype_policy,
            name="projection",
        )

    def sample_losses(
        self, projection: Tensor, labels: Tensor, present: Tensor
    ) -> Tensor:
        vectors = unit_norm(without_dead(projection))
        logits = ops.matmul(vectors, ops.transpose(vectors)) / self.temperature
        itself = ops.eye(ops.shape(vectors)[0], dtype=logits.dtype)
        others = (1 - itself) * present
        # What does not count must not be the largest, nor overflow.
        logits = ops.where(others > 0, logits, -1 / self.temperature)
        largest = ops.stop_gradient(ops.max(logits, axis=-1, keepdims=True))
        total = ops.sum(
            others * ops.exp(logits - largest), axis=-1, keepdims=True
        )
        total = ops.where(total > 0, total, 1.0)
        surprise = ops.log(total) + largest - logits
        positives = others * ops.matmul(labels, ops.transpose(labels))
        number = ops.sum(positives, axis=-1)
        loss = ops.sum(positives * surprise, axis=-1)
        return loss / ops.where(number > 0, number, 1.0)

    def get_config(self) -> Config:
        config = super().get_config()
        config.update(
            temperature=self.temperature,
            units=self.projection.num_classes,
            pooling=self.projection.pooling,
            data_format=self.projection.data_format,
        )
        return config
