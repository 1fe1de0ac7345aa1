"""How a model weighs its local layers."""

from keras_ff.contributions.contribution import Contribution as Contribution
from keras_ff.contributions.interval import Interval as Interval
from keras_ff.contributions.last import Last as Last
from keras_ff.contributions.loss_aware import LossAware as LossAware
from keras_ff.contributions.skip_first import SkipFirst as SkipFirst
from keras_ff.contributions.uniform import Uniform as Uniform

BY_NAME = {
    "interval": Interval,
    "last": Last,
    "loss_aware": LossAware,
    "skip_first": SkipFirst,
    "uniform": Uniform,
}
