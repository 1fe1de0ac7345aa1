import keras

from keras_ff import regularizers
from keras_ff.contributions import LossAware
from keras_ff.layers import AuxiliaryHead
from keras_ff.layers import CAWConv2D
from keras_ff.layers import CAWDense
from keras_ff.layers import ChannelClassAssignment
from keras_ff.layers.grid_average2d import GridAverage2D
from keras_ff.losses import LocalCrossentropy
from keras_ff.methods.method import Method
from keras_ff.type_aliases import Config


class CAW(Method):
    """CAW-Conv: channels learn which classes they count for.

    Reference:

    - [Ghader et al., 2026](https://arxiv.org/abs/2606.09928)
    """

    name = "caw"
    paper = "CAW-Conv, arXiv 2606.09928"
    # In the place of methods.
    conv = CAWConv2D  # pyright: ignore[reportAssignmentType]
    dense = CAWDense  # pyright: ignore[reportAssignmentType]
    head = ChannelClassAssignment
    contribution = LossAware
    layer_clipnorm = 1.0
    learning_rate = (0.03, 0.003)

    def auxiliary_head(self, num_classes, layers, grid):
        cells = [
            GridAverage2D(grid),
            keras.layers.Flatten(),
        ]
        head = ChannelClassAssignment(num_classes, **self.cell_assignment())
        return AuxiliaryHead([*layers, *cells], head, scale=1.0)

    def cell_assignment(self) -> Config:
        """Arguments of the assignment of the cells of an auxiliary head."""
        return dict(
            temperature=1.0,
            # Otherwise the first step does not reach the convolutions.
            assignment_initializer=keras.initializers.RandomNormal(0.5, 0.5),
            # Published per channel; there are as many rows as channels and
            # cells.
            assignment_regularizers=None,
        )

    def loss(self):
        return LocalCrossentropy(label_smoothing=0.1)

    def tune_layers(self, hp, layers):
        # Normalized, so that a scale means the same at every width.
        entropy = regularizers.AssignmentEntropy(
            hp.Float("entropy", 1e-4, 1.0, sampling="log"), scale="normalized"
        )
        orthogonality = regularizers.AssignmentOrthogonality(
            hp.Float("orthogonality", 1e-4, 1.0, sampling="log"),
            warmup_epochs=0,
            scale="normalized",
        )
        options: Config = dict(
            temperature=hp.Float("temperature", 1.0, 30.0, sampling="log"),
            temperature_decay=hp.Float("temperature_decay", 0.97, 1.0),
            assignment_regularizers=[entropy, orthogonality],
        )
        if set(layers) != {"dense"}:
            # Dense layers have nothing to pool.
            largest = hp.Float("pooling_max", 0.0, 0.2)
            smallest = hp.Float("pooling_min", 0.0, 0.2)
            # Mean and maximum add up to one, as published.
            options["pooling"] = (1 - largest, largest, smallest)
        return options
