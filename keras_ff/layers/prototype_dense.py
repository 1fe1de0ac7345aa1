from typing import Any

import keras

from keras_ff.layers.delegate import Delegate
from keras_ff.layers.hyperspherical_prototypes import HypersphericalPrototypes
from keras_ff.layers.kernel_layer import KernelLayer
from keras_ff.layers.local_layer import Objectives
from keras_ff.type_aliases import Activation
from keras_ff.type_aliases import Config
from keras_ff.type_aliases import Constraint
from keras_ff.type_aliases import Initializer
from keras_ff.type_aliases import Normalization
from keras_ff.type_aliases import Regularizer


@keras.saving.register_keras_serializable(package="keras_ff")
class PrototypeDense(KernelLayer):
    """HFF: a local dense layer that classifies on a hypersphere.

    ```
    y = dropout(relu(stop_gradient(x) @ kernel + bias))
    goodness_k = cos(embedding(y), prototype_k)
    features = normalization(y)
    ```

    `layer.kernel` and `layer.prototypes`, of shape `(num_classes,
    prototypes_per_class, dimensions)`, can be read and set. Train it with
    `keras_ff.losses.SmoothMarginLoss`.

    Args:
        units: int, the number of units.
        num_classes: int, at least 2.
        embedding_size: int, the dimensions of the sphere, reached by a
            learned linear map of the activation; `None` compares the
            activation itself with the prototypes. Defaults to `None`.
        embedding_initializer: initializer of that map. Defaults to
            `"glorot_uniform"`.
        use_bias: bool. Defaults to `True`.
        dropout: float in `[0, 1)`. Defaults to `0.0`.
        normalization: `"group"`, `"layer"`, `"rms"`, a Keras layer without
            trainable weights, or `None`. Defaults to `"rms"`.
        kernel_initializer: defaults to `"he_normal"`.
        prototypes_per_class, beta, prototype_initializer,
            learnable_prototypes, epsilon: as in `HypersphericalPrototypes`.
        pooling: as in `HypersphericalPrototypes`; there is no map, so it
            changes nothing.
        activation: defaults to `"relu"`.
        bias_initializer, kernel_regularizer, bias_regularizer,
            activity_regularizer, kernel_constraint, bias_constraint: as in
            `keras.layers.Dense`.
        objectives: as in `LocalLayer`.
        **kwargs: arguments of `keras.layers.Layer` (`name`, `dtype`,
            `trainable`).

    Call arguments:
        inputs: tensor of shape `(batch, features)`.
        training: bool, whether dropout is active.

    Input shape:
        `(batch, features)`.

    Output shape:
        A pair `(features, goodness)`: `(batch, units)`, and
        `(batch, num_classes)` in float32.

    Raises:
        ValueError: if an argument is out of range.

    Example:

    ```python
    layer = keras_ff.layers.PrototypeDense(1000, num_classes=10)
    features, goodness = layer(x)
    ```

    Reference:

    - [Sarode et al., 2026](https://arxiv.org/abs/2605.00082)
    """

    operation_class = keras.layers.Dense
    head_class = HypersphericalPrototypes

    prototypes = Delegate("head")

    def __init__(
        self,
        units: int,
        num_classes: int,
        embedding_size: int | None = None,
        embedding_initializer: Initializer = "glorot_uniform",
        use_bias: bool = True,
        dropout: float = 0.0,
        normalization: Normalization | None = "rms",
        kernel_initializer: Initializer = "he_normal",
        *,
        pooling: int | str = "average",
        prototypes_per_class: int = 1,
        beta: float = 10.0,
        prototype_initializer: Initializer = "random_normal",
        learnable_prototypes: bool = True,
        epsilon: float = 1e-6,
        activation: Activation | None = "relu",
        bias_initializer: Initializer | None = "zeros",
        kernel_regularizer: Regularizer | None = None,
        bias_regularizer: Regularizer | None = None,
        activity_regularizer: Regularizer | None = None,
        kernel_constraint: Constraint | None = None,
        bias_constraint: Constraint | None = None,
        objectives: Objectives | None = None,
        **kwargs: Any,
    ) -> None:
        embedding = None
        if embedding_size is not None:
            embedding = keras.layers.Dense(
                embedding_size,
                use_bias=False,
                kernel_initializer=embedding_initializer,
                dtype=kwargs.get("dtype"),
                name="embedding",
            )
        super().__init__(
            units=units,
            num_classes=num_classes,
            embedding=embedding,
            use_bias=use_bias,
            dropout=dropout,
            normalization=normalization,
            kernel_initializer=kernel_initializer,
            pooling=pooling,
            prototypes_per_class=prototypes_per_class,
            beta=beta,
            prototype_initializer=prototype_initializer,
            learnable_prototypes=learnable_prototypes,
            epsilon=epsilon,
            activation=activation,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            objectives=objectives,
            **kwargs,
        )
        self.embedding_size = embedding_size
        self.embedding_initializer = keras.initializers.get(
            embedding_initializer
        )

    def get_config(self) -> Config:
        config = super().get_config()
        del config["embedding"]
        config.update(
            embedding_size=self.embedding_size,
            embedding_initializer=keras.initializers.serialize(
                self.embedding_initializer
            ),
        )
        return config
