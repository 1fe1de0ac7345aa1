import keras

from keras_ff.layers.delegate import Delegate
from keras_ff.layers.hyperspherical_prototypes import HypersphericalPrototypes
from keras_ff.layers.kernel_layer import KernelLayer


class PrototypeConv(KernelLayer):
    """What HFF's local convolution is for sequences and for images.

    Args:
        filters, kernel_size, num_classes, **kwargs: see `PrototypeConv2D`.
    """

    head_class = HypersphericalPrototypes

    prototypes = Delegate("head")

    def __init__(
        self,
        filters,
        kernel_size,
        num_classes,
        embedding_size=128,
        embedding_kernel_size=1,
        embedding_initializer="glorot_uniform",
        dropout=0.0,
        normalization="instance",
        kernel_initializer="he_normal",
        **kwargs,
    ):
        embedding = None
        if embedding_size is not None:
            embedding = self.operation_class(
                embedding_size,
                embedding_kernel_size,
                padding="same",
                use_bias=False,
                kernel_initializer=embedding_initializer,
                data_format=kwargs.get("data_format"),
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
            **kwargs,
        )
        self.embedding_size = embedding_size
        self.embedding_kernel_size = embedding_kernel_size
        self.embedding_initializer = keras.initializers.get(
            embedding_initializer
        )

    def get_config(self):
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
