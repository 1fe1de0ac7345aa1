"""The local step, one file a backend: nothing else knows a backend.

`Loops` is a mixin for models of every kind whose weights an interrupt must
not lose.
"""

import keras

if keras.backend.backend() == "tensorflow":
    from keras_ff.models.trainers.scopes import whole_weights as whole_weights
    from keras_ff.models.trainers.tensorflow import LocalTrainer as LocalTrainer
    from keras_ff.models.trainers.tensorflow import (
        process_index as process_index,
    )
    from keras_ff.models.trainers.tensorflow_loops import (
        TensorFlowLoops as Loops,
    )
    from keras_ff.models.trainers.tensorflow_replicas import (
        scope_of as scope_of,
    )
elif keras.backend.backend() == "jax":
    from keras_ff.models.trainers.jax import LocalTrainer as LocalTrainer
    from keras_ff.models.trainers.jax import process_index as process_index
    from keras_ff.models.trainers.jax_device import StageDevice as StageDevice
    from keras_ff.models.trainers.jax_device import list_devices as list_devices
    from keras_ff.models.trainers.jax_device import (
        num_processes as num_processes,
    )
    from keras_ff.models.trainers.jax_loops import JaxLoops as Loops
    from keras_ff.models.trainers.jax_weights import (
        whole_weights as whole_weights,
    )
    from keras_ff.models.trainers.scopes import scope_of as scope_of
else:
    from keras_ff.models.trainers.loops import Loops as Loops
    from keras_ff.models.trainers.scopes import scope_of as scope_of
    from keras_ff.models.trainers.scopes import whole_weights as whole_weights
    from keras_ff.models.trainers.torch import LocalTrainer as LocalTrainer
    from keras_ff.models.trainers.torch import process_index as process_index
    from keras_ff.models.trainers.torch_device import StageDevice as StageDevice
    from keras_ff.models.trainers.torch_device import (
        list_devices as list_devices,
    )
    from keras_ff.models.trainers.torch_device import (
        num_processes as num_processes,
    )
