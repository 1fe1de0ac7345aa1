import functools

from keras_ff.layers import GoodnessProjection
from keras_ff.layers.normalization import get_normalization
from keras_ff.methods.method import Method
from keras_ff.methods.prototype import Prototype
from keras_ff.models import DeepSupervisionModel


class DeepSupervision(Method):
    """The heads and losses of Mono-Forward, but gradients cross the layers.

    Reference:

    - [Lee et al., 2015](https://arxiv.org/abs/1409.5185)
    """

    name = "deep_supervision"
    paper = "deep supervision, arXiv 1409.5185"
    head = GoodnessProjection
    contribution = None
    model_options = ("name",)

    def block(
        self,
        layers,
        num_classes,
        normalization=None,
        dtype=None,
        name=None,
        head=None,
        **head_options,
    ):
        make_head = functools.partial(
            head or self.head, num_classes, **head_options
        )

        def block(x):
            for layer in layers:
                x = layer(x)
            # As the local heads do, it sees what is not yet normalized: the
            # mean of an instance-normalized map would be zero.
            output = self.output(x, make_head)
            normalize = get_normalization(normalization, num_classes, dtype)
            return (x if normalize is None else normalize(x)), output

        return block

    def output(self, activation, make_head):
        """What the model is told of a layer."""
        return make_head()(activation)

    def auxiliary_head(self, num_classes, layers, grid):
        # The best of the local methods' heads: like for like.
        return Prototype().auxiliary_head(num_classes, layers, grid)

    def model(self, inputs, outputs, name=None):
        return DeepSupervisionModel(inputs, outputs, name=name)

    def tune_model(self, hp):
        return {}
