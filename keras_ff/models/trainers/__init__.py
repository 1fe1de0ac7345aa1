"""The local step, one file a backend: nothing else knows a backend."""

import keras

if keras.backend.backend() == "tensorflow":
    from keras_ff.models.trainers.tensorflow import LocalTrainer as LocalTrainer
    from keras_ff.models.trainers.tensorflow import (
        process_index as process_index,
    )
elif keras.backend.backend() == "jax":
    from keras_ff.models.trainers.jax import LocalTrainer as LocalTrainer
    from keras_ff.models.trainers.jax import process_index as process_index
else:
    from keras_ff.models.trainers.torch import LocalTrainer as LocalTrainer
    from keras_ff.models.trainers.torch import process_index as process_index
