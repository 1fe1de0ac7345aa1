from typing import Any

import keras

from keras_ff.layers.delegate import Delegate
from keras_ff.layers.hyperspherical_prototypes import HypersphericalPrototypes
from keras_ff.layers.kernel_layer import KernelLayer
from keras_ff.layers.local_layer import Objectives
from keras_ff.type_aliases import Activation
from keras_ff.type_aliases import Config
from keras_ff.type_aliases import Constraint
from keras_ff.type_aliases import DataFormat
from keras_ff.type_aliases import Initializer
from keras_ff.type_aliases import Normalization
from keras_ff.type_aliases import Regularizer
from keras_ff.type_aliases import Sizes


class PrototypeConv(KernelLayer):
    """What HFF's local convolution is for sequences and for images.

    Args:
        filters, kernel_size, num_classes, **kwargs: see `PrototypeConv2D`.
    """

    head_class = HypersphericalPrototypes

    prototypes = Delegate("head")

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        num_classes: int,
        embedding_size: int | None = 128,
        embedding_kernel_size: Sizes = 1,
        embedding_initializer: Initializer = "glorot_uniform",
        dropout: float = 0.0,
        normalization: Normalization | None = "instance",
        kernel_initializer: Initializer = "he_normal",
        *,
        pooling: int | str = "average",
        prototypes_per_class: int = 1,
        beta: float = 10.0,
        prototype_initializer: Initializer = "random_normal",
        learnable_prototypes: bool = True,
        epsilon: float = 1e-6,
        strides: Sizes = 1,
        padding: str = "valid",
        data_format: DataFormat | None = None,
        dilation_rate: Sizes = 1,
        groups: int = 1,
        activation: Activation | None = "relu",
        use_bias: bool = False,
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
            embedding = self.operation_class(
                embedding_size,
                embedding_kernel_size,
                padding="same",
                use_bias=False,
                kernel_initializer=embedding_initializer,
                data_format=data_format,
                dtype=kwargs.get("dtype"),
                name="embedding",
            )
        super().__init__(
            filters=filters,
            kernel_size=kernel_size,
            num_classes=num_classes,
            embedding=embedding,
            dropout=dropout,
            normalization=normalization,
            kernel_initializer=kernel_initializer,
            pooling=pooling,
            prototypes_per_class=prototypes_per_class,
            beta=beta,
            prototype_initializer=prototype_initializer,
            learnable_prototypes=learnable_prototypes,
            epsilon=epsilon,
            strides=strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            groups=groups,
            activation=activation,
            use_bias=use_bias,
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
        self.embedding_kernel_size = embedding_kernel_size
        self.embedding_initializer = keras.initializers.get(
            embedding_initializer
        )

    def get_config(self) -> Config:
        config = super().get_config()
        del config["embedding"]
        config.update(
            embedding_size=self.embedding_size,
            embedding_kernel_size=self.embedding_kernel_size,
            embedding_initializer=keras.initializers.serialize(
                self.embedding_initializer
            ),
        )
        return config
