from keras_ff.contributions import Interval
from keras_ff.layers import ChannelGroups
from keras_ff.layers import CWConv2D
from keras_ff.methods.method import Method


class CW(Method):
    """DeeperForward: every class has its own group of channels.

    Defined for convolutions only.

    Reference:

    - [Sun et al., 2025](https://openreview.net/forum?id=kOYnXVQCtA)
    """

    name = "cw"
    paper = "DeeperForward, ICLR 2025"
    # In the place of methods.
    conv = CWConv2D  # pyright: ignore[reportAssignmentType]
    dense = None  # pyright: ignore[reportAssignmentType]
    # No channel groups fit an auxiliary convolution of any width.
    auxiliary_head = None  # pyright: ignore[reportAssignmentType]
    head = ChannelGroups
    dropout = 0.2
    contribution = Interval
    learning_rate = (0.08, 0.008)

    def width(self, channels, num_classes):
        return max(1, round(channels / num_classes)) * num_classes
