"""Models whose layers learn from local losses."""

from keras_ff.models._adapt_prototypes import (
    adapt_prototypes as adapt_prototypes,
)
from keras_ff.models._adapt_whitening import adapt_whitening as adapt_whitening
from keras_ff.models._add_classes import add_classes as add_classes
from keras_ff.models._load_model import load_model as load_model
from keras_ff.models._localize import localize as localize
from keras_ff.models.cutting.cut_plan import cut_plan as cut_plan
from keras_ff.models.deep_supervision_model import (
    DeepSupervisionModel as DeepSupervisionModel,
)
from keras_ff.models.forward_forward_model import (
    ForwardForwardModel as ForwardForwardModel,
)
from keras_ff.models.forward_only_model import (
    ForwardOnlyModel as ForwardOnlyModel,
)
