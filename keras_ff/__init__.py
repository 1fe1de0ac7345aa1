"""keras_ff: networks that learn without end-to-end backpropagation."""

import os

try:
    import keras
except ModuleNotFoundError as error:
    if error.name not in ("keras", "tensorflow", "jax", "torch"):
        raise
    if error.name != "keras":
        raise ModuleNotFoundError(
            f"Keras is set to the {error.name!r} backend, which is not "
            'installed. Install it, for instance with `pip install "keras_ff['
            f'{error.name}]"`, or set the environment variable KERAS_BACKEND '
            "to 'tensorflow', 'jax' or 'torch', whichever is installed, "
            "before importing keras_ff.",
            name=error.name,
        ) from error
    # Devices train without it.
    keras = None

from keras_ff import device as device
from keras_ff._version import __version__ as __version__

_has_keras = keras is not None
if _has_keras:
    _wanted = os.environ.get("KERAS_BACKEND") or keras.backend.backend()
    if _wanted != keras.backend.backend():
        raise ImportError(
            f"KERAS_BACKEND is {_wanted!r}, but Keras already runs on "
            f"{keras.backend.backend()!r}: it was imported before the variable "
            "was set. Set KERAS_BACKEND before the first `import keras`."
        )
    if keras.backend.backend() not in ("tensorflow", "jax", "torch"):
        raise ImportError(
            "keras_ff trains on the backends 'tensorflow', 'jax' and 'torch'. "
            f"Received: KERAS_BACKEND={keras.backend.backend()!r}"
        )

    from keras_ff import applications as applications
    from keras_ff import callbacks as callbacks
    from keras_ff import contributions as contributions
    from keras_ff import datasets as datasets
    from keras_ff import distribution as distribution
    from keras_ff import initializers as initializers
    from keras_ff import layers as layers
    from keras_ff import losses as losses
    from keras_ff import methods as methods
    from keras_ff import models as models
    from keras_ff import objectives as objectives
    from keras_ff import optimizers as optimizers
    from keras_ff import regularizers as regularizers
    from keras_ff import testing as testing
    from keras_ff import visualization as visualization
    from keras_ff.device.exporting import export_training as export_training
    from keras_ff.device.exporting import import_training as import_training

del keras, os  # Not names of this package.


def __getattr__(name):
    # KerasTuner is loaded where it is used.
    if name == "tuners" and _has_keras:
        import keras_ff.tuners as tuners

        return tuners
    if not _has_keras and not name.startswith("__"):
        raise AttributeError(
            f"keras_ff.{name} needs Keras, which is not installed: `pip "
            "install keras`. Without it there is keras_ff.device only."
        )
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
