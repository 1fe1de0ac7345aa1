"""Ways of learning, one a file: what they are made of and how they train."""

from keras_ff.methods.lookup import get as get
from keras_ff.methods.lookup import names as names
from keras_ff.methods.method import Method as Method
