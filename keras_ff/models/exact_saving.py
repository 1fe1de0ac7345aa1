from typing import Any

import keras
from keras import ops

from keras_ff import keras_private
from keras_ff.layers.composite_layer import CompositeLayer
from keras_ff.layers.composite_layer import freeze_parts_of_frozen
from keras_ff.layers.composite_layer import mark_shared_parts
from keras_ff.models.compile_config import exclude_from_weight_decay
from keras_ff.models.compile_config import portable
from keras_ff.models.trainers import scope_of
from keras_ff.type_aliases import Config
from keras_ff.type_aliases import Path


class ExactSaving(keras_private.ModelMixin):
    """What Keras's own saving forgets of a model.

    A model that is loaded, unpickled or deeply copied goes on training as the
    one that was saved: with the state of its optimizer and of its random
    generators, on any backend and under any dtype policy.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for layer in self.layers:
            freeze_parts_of_frozen(layer)
        mark_shared_parts(
            [x for x in self.layers if isinstance(x, CompositeLayer)]
        )

    def compile(
        self, *args: Any, jit_compile: bool | str = "auto", **kwargs: Any
    ) -> None:
        super().compile(*args, jit_compile=jit_compile, **kwargs)
        self._jit_compile_argument = jit_compile
        if isinstance(self.optimizer, keras.optimizers.MultiOptimizer):
            self._check_paths()

    def _check_paths(self):
        """Raises if an optimizer chosen by path would be another in a copy."""
        layers = keras_private.all_layers(self, include_self=False)
        names = {layer.name for layer in layers}
        for variable in self.trainable_variables:
            owner = variable.path.partition("/")[0]
            if owner not in names:
                raise ValueError(
                    f"'{variable.path}' was made by '{owner}', which is no "
                    "layer of the model: it would have another path in a "
                    "copy, and a MultiOptimizer could not find its state. "
                    "Use one optimizer for all, or connect the layers by the "
                    "functional API before they are built, instead of by "
                    "keras.Sequential."
                )

    def get_compile_config(self) -> Config:
        config = super().get_compile_config()
        if not config:
            return config
        return portable(
            config, self.optimizer, self._jit_compile_argument, self.variables
        )

    def compile_from_config(self, config: Config) -> None:
        config = keras.saving.deserialize_keras_object(config)
        excluded = config.pop("excluded_from_weight_decay", ())
        self.compile(**config)
        exclude_from_weight_decay(self.optimizer, self.variables, excluded)

    def save(
        self,
        filepath: Path,
        overwrite: bool = True,
        zipped: bool | None = None,
        **kwargs: Any,
    ) -> None:
        """Saves the model as in `keras.Model`, but not as legacy HDF5."""
        if str(filepath).endswith((".h5", ".hdf5")):
            _refuse_hdf5(f"filepath={str(filepath)!r}")
        return super().save(filepath, overwrite, zipped, **kwargs)

    def get_config(self) -> Config:
        # `keras.saving.save_model` does not ask `save`.
        if keras_private.is_saving_hdf5():
            _refuse_hdf5(f"the model '{self.name}'")
        return super().get_config()

    def save_own_variables(self, store: Any) -> None:
        self._build_optimizer()
        for i, state in enumerate(self._seed_states()):
            store[f"seed_state_{i}"] = ops.convert_to_numpy(state)

    def load_own_variables(self, store: Any) -> None:
        states = {
            f"seed_state_{i}": state
            for i, state in enumerate(self._seed_states())
        }
        for name, state in states.items():
            if name in store:
                state.assign(store[name])
        self._build_optimizer()

    def _build_optimizer(self):
        """Makes the optimizer's variables, without which it has no state.

        Keras makes them in `fit`, and leaves out what it saved if they are
        not there to take it.
        """
        if not self.compiled or self.optimizer is None:
            return
        if not self.optimizer.built:
            with scope_of(self):
                self.optimizer.build(self.trainable_variables)

    def _seed_states(self):
        weights = {id(v) for v in self.weights}
        return [v for v in self.variables if id(v) not in weights]


def _refuse_hdf5(received):
    raise ValueError(
        "The legacy HDF5 format does not hold the whole state of a model. "
        f"Received: {received}. Save it as '.keras', or its weights alone with "
        "`save_weights('model.weights.h5')`."
    )
