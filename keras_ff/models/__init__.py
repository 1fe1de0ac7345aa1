"""Models whose layers learn from local losses."""

from keras_ff.models.forward_only_model import (
    ForwardOnlyModel as ForwardOnlyModel,
)
from keras_ff.models.load_model import load_model as load_model
