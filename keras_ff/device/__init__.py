"""What runs where a model goes on learning: LiteRT and NumPy, no Keras."""

from keras_ff.device.litert_trainer import LiteRTTrainer as LiteRTTrainer
