"""What local layers learn beside the loss of their goodness."""

from keras_ff.layers.local_objective import LocalObjective as LocalObjective
from keras_ff.objectives.similarity_matching import (
    SimilarityMatching as SimilarityMatching,
)
from keras_ff.objectives.supervised_contrast import (
    SupervisedContrast as SupervisedContrast,
)
