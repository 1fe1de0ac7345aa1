"""Ways to train on several devices, beside those of `keras.distribution`."""

from keras_ff.distribution.layer_parallel import LayerParallel as LayerParallel
