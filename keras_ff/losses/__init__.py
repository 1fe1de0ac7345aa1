"""Local objectives beyond Keras's own."""

from keras_ff.losses.forward_forward_loss import (
    ForwardForwardLoss as ForwardForwardLoss,
)
from keras_ff.losses.local_crossentropy import (
    LocalCrossentropy as LocalCrossentropy,
)
from keras_ff.losses.smooth_margin_loss import (
    SmoothMarginLoss as SmoothMarginLoss,
)
from keras_ff.losses.symba_loss import SymBaLoss as SymBaLoss
