from typing import Any

import keras
from keras import ops

from keras_ff.layers.goodness_head import score_dtype
from keras_ff.layers.kernel_layer import KernelLayer
from keras_ff.layers.normalization import RMSFeatures
from keras_ff.layers.squared_goodness import SquaredGoodness
from keras_ff.type_aliases import Activation
from keras_ff.type_aliases import Config
from keras_ff.type_aliases import Constraint
from keras_ff.type_aliases import Initializer
from keras_ff.type_aliases import Regularizer
from keras_ff.type_aliases import Shape
from keras_ff.type_aliases import Tensor


@keras.saving.register_keras_serializable(package="keras_ff")
class FFDense(KernelLayer):
    """A dense layer of the original Forward-Forward.

    ```
    h = relu(stop_gradient(x) @ kernel + bias)
    goodness = sum(h^2 - threshold)
    features = h / rms(h)
    ```

    Its input holds several candidates of every sample, the same input under
    different labels, and it gives the goodness of each. It is trained and
    asked for predictions by `keras_ff.models.ForwardForwardModel`.

    Args:
        units: int, the number of units.
        reduction: `"sum"` or `"mean"` of the squares. Defaults to `"sum"`.
        threshold: float, what a unit's square is compared with: with the sum
            the published threshold is the number of units, `1.0` here.
            Defaults to `1.0`.
        peer_normalization: float, the weight of the loss that keeps the mean
            activities of the units alike, `mean_j((mean_i(m_i) - m_j)^2)`
            with `m` a running mean over the first candidates (the positive
            data). 0.03 in common use. Defaults to `0.0`, none.
        peer_momentum: float in `[0, 1)`, of the running mean. Defaults to
            `0.9`.
        activation: defaults to `"relu"`.
        use_bias: bool. Defaults to `True`.
        dropout: float in `[0, 1)`. Defaults to `0.0`.
        kernel_initializer: defaults to normal with variance `1 / units`.
        bias_initializer, kernel_regularizer, bias_regularizer,
            activity_regularizer, kernel_constraint, bias_constraint: as in
            `keras.layers.Dense`.
        **kwargs: arguments of `keras.layers.Layer` (`name`, `dtype`,
            `trainable`).

    Call arguments:
        inputs: tensor of shape `(batch, candidates, features)`.
        training: bool, whether the layer trains.

    Input shape:
        `(batch, candidates, features)`.

    Output shape:
        A pair `(features, goodness)`: `(batch, candidates, units)`, and
        `(batch, candidates)` in float32.

    Raises:
        ValueError: if an argument is out of range, or the inputs have not
            three axes.

    Example:

    ```python
    layer = keras_ff.layers.FFDense(500)
    features, goodness = layer(candidates)
    ```

    Reference:

    - [Hinton, 2022](https://arxiv.org/abs/2212.13345)
    """

    operation_class = keras.layers.Dense
    head_class = SquaredGoodness

    def __init__(
        self,
        units: int,
        reduction: str = "sum",
        threshold: float = 1.0,
        peer_normalization: float = 0.0,
        peer_momentum: float = 0.9,
        activation: Activation | None = "relu",
        use_bias: bool = True,
        dropout: float = 0.0,
        kernel_initializer: Initializer | None = None,
        *,
        bias_initializer: Initializer | None = "zeros",
        kernel_regularizer: Regularizer | None = None,
        bias_regularizer: Regularizer | None = None,
        activity_regularizer: Regularizer | None = None,
        kernel_constraint: Constraint | None = None,
        bias_constraint: Constraint | None = None,
        **kwargs: Any,
    ) -> None:
        if kwargs.get("objectives"):
            raise ValueError(
                "An FFDense has no `objectives`: its batch holds candidates, "
                "not samples of classes. Received: objectives="
                f"{kwargs['objectives']}"
            )
        if not 0.0 <= peer_normalization < float("inf"):
            raise ValueError(
                "`peer_normalization` must be at least 0 and finite. "
                f"Received: peer_normalization={peer_normalization}"
            )
        if not 0.0 <= peer_momentum < 1.0:
            raise ValueError(
                "`peer_momentum` must be in [0, 1). "
                f"Received: peer_momentum={peer_momentum}"
            )
        super().__init__(
            units=units,
            reduction=reduction,
            threshold=threshold,
            dropout=dropout,
            normalization=RMSFeatures(
                axis=-1, dtype=kwargs.get("dtype"), name="normalization"
            ),
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer
            or keras.initializers.VarianceScaling(
                1.0, mode="fan_out", distribution="untruncated_normal"
            ),
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            **kwargs,
        )
        self.peer_normalization = peer_normalization
        self.peer_momentum = peer_momentum

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) != 3:
            raise ValueError(
                f"FFDense '{self.name}' takes several candidates of every "
                "sample, of shape (batch, candidates, features), as a "
                "ForwardForwardModel gives it. FFDense layers belong into a "
                "ForwardForwardModel. Received: inputs of shape "
                f"{tuple(input_shape)}"
            )
        super().build(input_shape)
        if self.peer_normalization:
            self.mean_activity = self.add_weight(
                name="mean_activity",
                shape=(self.operation.units,),
                initializer=keras.initializers.Constant(0.5),
                trainable=False,
                dtype=score_dtype(self),
                autocast=False,
            )

    def activate(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        activation = super().activate(inputs, training)
        if self.peer_normalization and training:
            positive = ops.cast(activation[:, 0], score_dtype(self))
            momentum = self.peer_momentum
            activity = momentum * self.mean_activity
            activity += (1 - momentum) * ops.mean(positive, axis=0)
            self.mean_activity.assign(ops.stop_gradient(activity))
            spread = ops.square(ops.mean(activity) - activity)
            self.add_loss(self.peer_normalization * ops.mean(spread))
        return activation

    def get_config(self) -> Config:
        config = super().get_config()
        del config["normalization"]
        config.update(
            peer_normalization=self.peer_normalization,
            peer_momentum=self.peer_momentum,
        )
        return config
