import keras

from keras_ff.layers import GoodnessProjection
from keras_ff.layers.conv2d import Conv2D
from keras_ff.methods.projection import Projection
from keras_ff.objectives import SimilarityMatching


class Predsim(Projection):
    """A projection, and similarities of a batch that match its labels'.

    As published, layers have batch normalization and a leaky ReLU, and the
    projection starts at zero.

    Reference:

    - [Nøkland and Eidnes, 2019](https://arxiv.org/abs/1901.06656), and the
      released code
    """

    name = "predsim"
    paper = "local error signals (predsim), arXiv 1901.06656"
    learning_rate = (5e-4, 2e-6)
    weight_decay = 0.0

    def head(self, num_classes, pooling=2):
        return GoodnessProjection(
            num_classes, pooling, use_bias=True, kernel_initializer="zeros"
        )

    def objectives(self, similarity_weight=99.0):
        return [SimilarityMatching(similarity_weight)]

    def tune_objectives(self, hp):
        # The shares of the two, half and half to 0.999 and 0.001.
        weight = hp.Float("similarity_weight", 1.0, 999.0, sampling="log")
        return dict(similarity_weight=weight)

    def conv(
        self,
        filters,
        kernel_size,
        num_classes,
        strides=1,
        padding="same",
        dropout=0.0,
        dtype=None,
        **options,
    ):
        conv = Conv2D(
            filters,
            kernel_size,
            strides=strides,
            padding=padding,
            use_bias=False,
            kernel_initializer="he_normal",
            dtype=dtype,
        )
        return self._normalized(conv, dropout, num_classes, dtype, **options)

    def dense(self, units, num_classes, dropout=0.0, dtype=None, **options):
        dense = keras.layers.Dense(
            units, use_bias=False, kernel_initializer="he_normal", dtype=dtype
        )
        return self._normalized(dense, dropout, num_classes, dtype, **options)

    def _normalized(self, layer, dropout, num_classes, dtype, **options):
        data_format = getattr(layer, "data_format", "channels_last")
        layers = [
            layer,
            keras.layers.BatchNormalization(
                1 if data_format == "channels_first" else -1, dtype=dtype
            ),
            keras.layers.LeakyReLU(0.01, dtype=dtype),
            keras.layers.Dropout(dropout, dtype=dtype),
        ]
        return self.block(layers, num_classes, dtype=dtype, **options)
