import keras

from keras_ff.layers import AuxiliaryHead
from keras_ff.layers import HypersphericalPrototypes
from keras_ff.layers import PrototypeConv2D
from keras_ff.layers import PrototypeDense
from keras_ff.losses import SmoothMarginLoss
from keras_ff.methods.method import Method


class Prototype(Method):
    """HFF: the angle to unit-norm prototypes of the classes.

    HFF publishes no hyperparameters; margin and scale are what
    `benchmarks/hff_search.py` found, the rest is ours.

    Reference:

    - [Sarode et al., 2026](https://arxiv.org/abs/2605.00082)
    """

    name = "prototype"
    paper = "HFF, arXiv 2605.00082"
    # In the place of methods.
    conv = PrototypeConv2D  # pyright: ignore[reportAssignmentType]
    dense = PrototypeDense  # pyright: ignore[reportAssignmentType]
    head = HypersphericalPrototypes
    weight_decay = 1e-3

    def auxiliary_head(self, num_classes, layers, grid):
        head = HypersphericalPrototypes(num_classes, pooling=grid)
        # Scaled, so that a plain cross-entropy serves.
        return AuxiliaryHead(
            layers or [keras.layers.Identity()], head, scale=16.0
        )

    def loss(self):
        return SmoothMarginLoss(margin=0.25, scale=8.0)

    def tune_layers(self, hp, layers):
        return dict(
            prototypes_per_class=hp.Choice("prototypes_per_class", [1, 2, 4]),
            embedding_size=hp.Choice("embedding_size", [32, 128, 512]),
        )

    def tune_loss(self, hp):
        return SmoothMarginLoss(
            hp.Float("margin", 0.0, 0.5, step=0.05),
            hp.Float("scale", 4.0, 32.0, sampling="log"),
        )
