import functools

import keras

from keras_ff.layers import GoodnessProjection
from keras_ff.losses import LocalCrossentropy
from keras_ff.methods.deep_supervision import DeepSupervision


class Backprop(DeepSupervision):
    """Backpropagation from one head on the last layer."""

    name = "backprop"
    paper = "backpropagation through the same network"

    def head(self, num_classes, pooling="average", use_bias=True):
        return GoodnessProjection(num_classes, pooling, use_bias)

    def output(self, activation, make_head):
        # Only the last layer's head is ever made.
        return functools.partial(super().output, activation, make_head)

    def model(self, inputs, outputs, name=None):
        return keras.Model(inputs, outputs[-1](), name=name)

    def loss(self):
        return LocalCrossentropy(label_smoothing=0.1)
