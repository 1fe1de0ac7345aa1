from keras_ff.layers import AuxiliaryHead
from keras_ff.layers import GoodnessProjection
from keras_ff.methods.method import Method


class Projection(Method):
    """Mono-Forward: a learned linear map of the activation.

    Reference:

    - [Gong et al., 2025](https://arxiv.org/abs/2501.09238)
    """

    name = "projection"
    paper = "Mono-Forward, arXiv 2501.09238"
    head = GoodnessProjection

    def auxiliary_head(self, num_classes, layers, grid):
        head = self.head(num_classes, pooling=grid)
        return AuxiliaryHead(layers, head) if layers else head
