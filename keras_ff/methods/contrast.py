from keras_ff.methods.projection import Projection
from keras_ff.objectives import SupervisedContrast


class Contrast(Projection):
    """A projection, and supervised contrast within every batch.

    The contrast is that of HCL-FF, which adds it to DeeperForward's groups of
    channels and to a hierarchy of classes. Weight and dimensions are
    HCL-FF's, grid and constant temperature ours.

    Reference:

    - [HCL-FF, 2026](https://arxiv.org/abs/2605.24797)
    """

    name = "contrast"
    paper = "the supervised contrast of HCL-FF, arXiv 2605.24797"

    def objectives(
        self,
        contrast_weight=1.0,
        contrast_temperature=0.2,
        contrast_units=128,
        contrast_pooling=4,
    ):
        return [
            SupervisedContrast(
                contrast_weight,
                contrast_temperature,
                contrast_units,
                contrast_pooling,
            )
        ]

    def tune_objectives(self, hp):
        return dict(
            contrast_weight=hp.Float(
                "contrast_weight", 0.1, 10.0, sampling="log"
            ),
            contrast_temperature=hp.Float(
                "contrast_temperature", 0.05, 1.0, sampling="log"
            ),
        )
