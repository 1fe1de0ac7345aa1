import math
from collections.abc import Sequence
from typing import Any
from typing import Literal
from typing import TypeAlias

import keras
from keras import ops

from keras_ff.layers.goodness_head import GoodnessHead
from keras_ff.layers.masks import masked_max
from keras_ff.layers.masks import masked_mean
from keras_ff.layers.masks import with_mask
from keras_ff.regularizers import AssignmentEntropy
from keras_ff.regularizers import AssignmentOrthogonality
from keras_ff.regularizers import AssignmentRegularizer
from keras_ff.type_aliases import Config
from keras_ff.type_aliases import DataFormat
from keras_ff.type_aliases import Initializer
from keras_ff.type_aliases import Shape
from keras_ff.type_aliases import Tensor

AssignmentRegularizers: TypeAlias = (
    Literal["published"]
    | AssignmentRegularizer
    | Sequence[AssignmentRegularizer]
    | None
)


@keras.saving.register_keras_serializable(package="keras_ff")
class ChannelClassAssignment(GoodnessHead):
    """Goodness by a learned assignment of channels to classes.

    The head of CAW-Conv. An activation is pooled to one number a channel,
    `p = a mean + b max - c min` over its map, and every channel shares itself
    out among the classes by a softmax:

    ```
    T = clip(exp(log_temperature), low, high) * decay**epoch
    M = softmax(assignment / T, axis=classes)
    goodness = p @ M
    ```

    `epoch` counts the finished epochs; `ForwardOnlyModel.fit` keeps it. All
    of it is computed in float32.

    Args:
        num_classes: int, at least 2.
        pooling: the coefficients `(a, b, c)` of mean, max and min. Defaults
            to `(0.94, 0.06, 0.05)`, as published; `(1, 0, 0)` is the mean.
        temperature: float, the temperature at the start. Defaults to `10.0`.
        learnable_temperature: bool, whether the temperature is trained.
            Defaults to `True`.
        temperature_decay: float in `(0, 1]`, what the temperature is
            multiplied by after every epoch. Defaults to `0.995`.
        temperature_range: the bounds of the learned temperature. Defaults to
            `(0.1, 100.0)`. Beyond them it is clipped and, as published, has
            no gradient.
        assignment_initializer: initializer of the assignment. Defaults to
            0.5 everywhere, as published: the first step then trains the
            assignment only; `keras.initializers.RandomNormal(0.5, 0.01)`
            breaks the symmetry at once. A fixed assignment of one class a
            channel is `keras_ff.initializers.OneClassAChannel()` with
            `learnable_assignment=False`.
        learnable_assignment: bool, whether the assignment is trained.
            Defaults to `True`.
        assignment_regularizers: a regularizer of `M` or a list of them, or
            `"published"` for `[AssignmentEntropy(),
            AssignmentOrthogonality()]`. Defaults to `"published"`; `None` is
            no regularizer.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to
            Keras's setting.
        **kwargs: base layer keyword arguments (`name`, `dtype`).

    Input shape:
        `(batch, ..., channels)`, any number of spatial axes. With none
        (a dense activation) nothing is pooled.

    Output shape:
        `(batch, num_classes)`, float32.

    Raises:
        ValueError: if an argument is out of range.

    Example:

    ```python
    head = keras_ff.layers.ChannelClassAssignment(10)
    goodness = head(activation)  # (batch, 10)
    head.shares()  # (channels, 10), every row sums to 1
    ```

    Reference:

    - [Ghader et al., 2026](https://arxiv.org/abs/2606.09928), Eq. 7 and the
      released code
    """

    def __init__(
        self,
        num_classes: int,
        pooling: Sequence[float] = (0.94, 0.06, 0.05),
        temperature: float = 10.0,
        learnable_temperature: bool = True,
        temperature_decay: float = 0.995,
        temperature_range: Sequence[float] = (0.1, 100.0),
        assignment_initializer: Initializer | None = None,
        learnable_assignment: bool = True,
        assignment_regularizers: AssignmentRegularizers = "published",
        data_format: DataFormat | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_classes, data_format, **kwargs)
        if not isinstance(pooling, (tuple, list)) or len(pooling) != 3:
            raise ValueError(
                "`pooling` must be the three coefficients of mean, max and "
                f"min. Received: pooling={pooling}"
            )
        low, high = temperature_range
        if not 0 < low <= temperature <= high:
            raise ValueError(
                "`temperature` must be positive and within "
                f"`temperature_range`. Received: temperature={temperature}, "
                f"temperature_range={tuple(temperature_range)}"
            )
        if not 0 < temperature_decay <= 1:
            raise ValueError(
                "`temperature_decay` must be in (0, 1]. "
                f"Received: temperature_decay={temperature_decay}"
            )
        self.pooling = tuple(pooling)
        self.temperature = temperature
        self.learnable_temperature = learnable_temperature
        self.learnable_assignment = learnable_assignment
        self.temperature_decay = temperature_decay
        self.temperature_range = (low, high)
        self.assignment_initializer = keras.initializers.get(
            assignment_initializer or keras.initializers.Constant(0.5)
        )
        if assignment_regularizers == "published":
            assignment_regularizers = [
                AssignmentEntropy(),
                AssignmentOrthogonality(),
            ]
        if assignment_regularizers is None:
            assignment_regularizers = []
        if not isinstance(assignment_regularizers, (tuple, list)):
            assignment_regularizers = [assignment_regularizers]
        self.assignment_regularizers = [
            keras.regularizers.get(regularizer)
            for regularizer in assignment_regularizers
        ]

    def build(self, input_shape: Shape) -> None:
        self.assignment = self.add_weight(
            name="assignment",
            shape=(self.num_channels(input_shape), self.num_classes),
            initializer=self.assignment_initializer,
            trainable=self.learnable_assignment,
            dtype=self.score_dtype,
            autocast=False,
        )
        self.log_temperature = self.add_weight(
            name="log_temperature",
            shape=(),
            initializer=keras.initializers.Constant(math.log(self.temperature)),
            trainable=self.learnable_temperature,
            dtype=self.score_dtype,
            autocast=False,
        )
        self.epoch = self.add_weight(
            name="epoch",
            shape=(),
            initializer="zeros",
            trainable=False,
            dtype=self.score_dtype,
            autocast=False,
        )

    def current_temperature(self) -> Tensor:
        """The softmax temperature in force, a positive scalar."""
        low, high = self.temperature_range
        # Clipped before exp: the same values, and no overflow in between. At
        # a bound itself backends differ in the gradient of a clip; here it
        # passes, so that a temperature can start there.
        learned = ops.convert_to_tensor(self.log_temperature)
        clipped = ops.clip(learned, math.log(low), math.log(high))
        log_temperature = ops.where(
            ops.equal(learned, clipped), learned, ops.stop_gradient(clipped)
        )
        return ops.exp(log_temperature) * self.temperature_decay**self.epoch

    def shares(self) -> Tensor:
        """`M`, the share of every channel in every class.

        Returns:
            Tensor of shape `(channels, num_classes)`; rows sum to 1.
        """
        return ops.softmax(
            self.assignment / self.current_temperature(), axis=-1
        )

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        shares = self.shares()
        for regularizer in self.assignment_regularizers:
            if isinstance(regularizer, AssignmentRegularizer):
                self.add_loss(regularizer(shares, epoch=self.epoch))
            else:
                self.add_loss(regularizer(shares))
        return ops.matmul(self.pool(with_mask(inputs, mask)), shares)

    def pool(self, activation: Tensor) -> Tensor:
        """The activity of every channel, `(batch, channels)` in float32."""
        shown = self.shown(activation)
        activation = ops.cast(activation, self.score_dtype)
        axes = self.spatial_axes(activation.shape)
        if not axes:
            return activation
        mean, maximum, minimum = self.pooling
        pooled = mean * masked_mean(activation, shown, axes)
        if maximum:
            pooled = pooled + maximum * masked_max(activation, shown, axes)
        if minimum:
            pooled = pooled + minimum * masked_max(-activation, shown, axes)
        return pooled

    def get_config(self) -> Config:
        config = super().get_config()
        config.update(
            pooling=self.pooling,
            temperature=self.temperature,
            learnable_temperature=self.learnable_temperature,
            learnable_assignment=self.learnable_assignment,
            temperature_decay=self.temperature_decay,
            temperature_range=self.temperature_range,
            assignment_initializer=keras.initializers.serialize(
                self.assignment_initializer
            ),
            assignment_regularizers=[
                keras.regularizers.serialize(regularizer)
                for regularizer in self.assignment_regularizers
            ],
        )
        return config
