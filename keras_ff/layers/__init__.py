"""Local layers and goodness heads."""

from keras_ff.layers.auxiliary_head import AuxiliaryHead as AuxiliaryHead
from keras_ff.layers.caw_conv1d import CAWConv1D as CAWConv1D
from keras_ff.layers.caw_conv2d import CAWConv2D as CAWConv2D
from keras_ff.layers.caw_dense import CAWDense as CAWDense
from keras_ff.layers.channel_class_assignment import (
    ChannelClassAssignment as ChannelClassAssignment,
)
from keras_ff.layers.channel_groups import ChannelGroups as ChannelGroups
from keras_ff.layers.cw_conv1d import CWConv1D as CWConv1D
from keras_ff.layers.cw_conv2d import CWConv2D as CWConv2D
from keras_ff.layers.ff_dense import FFDense as FFDense
from keras_ff.layers.goodness_head import GoodnessHead as GoodnessHead
from keras_ff.layers.goodness_projection import (
    GoodnessProjection as GoodnessProjection,
)
from keras_ff.layers.hyperspherical_prototypes import (
    HypersphericalPrototypes as HypersphericalPrototypes,
)
from keras_ff.layers.local_block import LocalBlock as LocalBlock
from keras_ff.layers.local_layer import LocalLayer as LocalLayer
from keras_ff.layers.prototype_conv1d import PrototypeConv1D as PrototypeConv1D
from keras_ff.layers.prototype_conv2d import PrototypeConv2D as PrototypeConv2D
from keras_ff.layers.prototype_dense import PrototypeDense as PrototypeDense
from keras_ff.layers.whitening2d import Whitening2D as Whitening2D
