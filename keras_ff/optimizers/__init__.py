"""What Keras's optimizers lack."""

from keras_ff.optimizers.muon import Muon as Muon
from keras_ff.optimizers.triangular import Triangular as Triangular
