"""Ready architectures, each for every method and for backpropagation."""

from keras_ff.applications._mlp import mlp as mlp
from keras_ff.applications._resnet17 import resnet17 as resnet17
from keras_ff.applications._tiny_cnn import tiny_cnn as tiny_cnn
from keras_ff.applications._vgg14 import vgg14 as vgg14
from keras_ff.applications._whitened_cnn import whitened_cnn as whitened_cnn
