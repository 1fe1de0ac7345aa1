from collections.abc import Sequence
from typing import Any

import keras
import keras_tuner

from keras_ff import applications
from keras_ff import methods as methods_
from keras_ff.applications.architecture import ARCHITECTURES
from keras_ff.checks import check_num_classes
from keras_ff.layers import Whitening2D
from keras_ff.losses import LocalCrossentropy
from keras_ff.methods import Method
from keras_ff.models import adapt_whitening
from keras_ff.tuners.reliable import keras_tuner_private
from keras_ff.tuners.trial_backup import TrialBackup
from keras_ff.type_aliases import Data


class ForwardOnlyHyperModel(keras_tuner.HyperModel):
    """The networks of `keras_ff.applications` as a search space.

    | hyperparameter | range | of which methods |
    |---|---|---|
    | `architecture`, `method` | as given | all |
    | `width_multiplier` | 0.1 to 1 | all |
    | `learning_rate` of the method's optimizer | 3e-4 to 0.1 | all |
    | `weight_decay` of the method's optimizer | 1e-5 to 1e-2 | all |
    | `dropout` | 0 to 0.4 | all |
    | `batch_size` | 32 to 256 | all |
    | `contribution` | all of `keras_ff.contributions` | all but `"backprop"` \
and `"deep_supervision"` |
    | `label_smoothing` | 0 to 0.2 | all but `"prototype"` |
    | `temperature` | 1 to 30 | `"caw"` |
    | `temperature_decay` per epoch | 0.97 to 1 | `"caw"` |
    | `entropy`, `orthogonality`: scales of the regularizers | 1e-4 to 1 \
| `"caw"` |
    | `pooling_max`, `pooling_min` | 0 to 0.2 | `"caw"`, convolutions |
    | `margin`, `scale` | 0 to 0.5, 4 to 32 | `"prototype"` |
    | `prototypes_per_class` | 1, 2, 4 | `"prototype"` |
    | `embedding_size` | 32 to 512 | `"prototype"` |
    | `contrast_weight`, `contrast_temperature` | 0.1 to 10, 0.05 to 1 \
| `"contrast"` |
    | `similarity_weight` | 1 to 999 | `"predsim"` |

    A method says itself what of it is searched (`tune_layers`,
    `tune_objectives`, `tune_loss` and `tune_model` of
    `keras_ff.methods.Method`), so that one of your own
    brings its hyperparameters along.

    A hyperparameter is narrowed or fixed in KerasTuner's way, by registering
    it first, see the example. Those of some methods only have the parent
    `method`: register them with `parent_name="method", parent_values=[...]`,
    the methods of the search that have it.

    The batch size is tuned, so `tuner.search` takes data that have none yet:

    - arrays: `search(x, y, validation_data=(x_val, y_val))`, or
      `validation_split=`;
    - a function with the argument `batch_size` that returns
      `(train, validation)`, or more, of which the first two are used:
      `search(lambda batch_size: keras_ff.datasets.load("cifar10",
      batch_size=batch_size))`. A pipeline of single samples is batched there.

    Epochs are what the tuner says (Hyperband), or `search(epochs=...)`; they
    are tuned where the space has them, `space.Int("epochs", 3, 30)`. The
    objective is `"val_accuracy"`. KerasTuner copies the callbacks for every
    trial (`copy.deepcopy`): they must not hold files or tensors yet.

    A trial is backed up after every epoch in its own folder. When KerasTuner
    runs it again after an interruption, it goes on from there with the
    results of the epochs before. The backup is removed when the trial is
    complete or has failed.

    Args:
        input_shape: shape of one sample.
        num_classes: int.
        architectures: one or more names of architectures in
            `keras_ff.applications`. Defaults to `("tiny_cnn",)`.
        methods: one or more names of methods, or `keras_ff.methods.Method`s
            of your own. Every architecture must take every method: `"mlp"`
            does not take `"cw"`. Defaults to `("caw", "prototype",
            "projection")`.
        name, tunable: as in `keras_tuner.HyperModel`.

    Raises:
        ValueError: if a name is unknown, an architecture does not take a
            method, the input is not an image where one is needed, or there
            are less than two classes; in `search`, if there is no validation
            data or `batch_size` is given.
        TypeError: if `input_shape` is no shape; in `search`, if the data are
            of another kind.

    Example:

    ```python
    space = keras_tuner.HyperParameters()
    space.Fixed("width_multiplier", 0.2)
    space.Float("learning_rate", 3e-3, 3e-2, sampling="log")
    tuner = keras_tuner.RandomSearch(
        keras_ff.tuners.ForwardOnlyHyperModel((28, 28, 1), 10),
        objective="val_accuracy",
        max_trials=20,
        hyperparameters=space,
        directory="runs/search",
    )
    tuner.search(x, y, validation_split=0.1, epochs=5)
    model = tuner.get_best_models()[0]
    ```
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        num_classes: int,
        architectures: Sequence[str] = ("tiny_cnn",),
        methods: Sequence[str | Method | type[Method]] = (
            "caw",
            "prototype",
            "projection",
        ),
        name: str | None = None,
        tunable: bool = True,
    ) -> None:
        super().__init__(name, tunable)
        if not isinstance(input_shape, (tuple, list)):
            raise TypeError(
                "`input_shape` must be the shape of one sample, such as "
                f"(28, 28, 1). Received: input_shape={input_shape!r}"
            )
        self.input_shape = tuple(input_shape)
        self.num_classes = check_num_classes(num_classes)
        self.architectures = _several(architectures)
        unknown = [n for n in self.architectures if n not in ARCHITECTURES]
        if unknown or not self.architectures:
            raise ValueError(
                f"`architectures` must be some of {list(ARCHITECTURES)}. "
                f"Received: {self.architectures}"
            )
        self.methods = {}
        for method in map(methods_.get, _several(methods)):
            if method.name in self.methods:
                raise ValueError(
                    "Methods are told apart by their names. Received: "
                    f"`methods` with two called {method.name!r}"
                )
            self.methods[method.name] = method
        if not self.methods:
            raise ValueError("`methods` needs at least one. Received: none")
        for architecture in self.architectures:
            kind = ARCHITECTURES[architecture]
            unable = [n for n, m in self.methods.items() if not m.makes(kind)]
            if unable:
                raise ValueError(
                    "Every one of `methods` must make every one of "
                    f"`architectures`. Received: {architecture!r}, whose "
                    f"layers are of kind {kind!r}, with {unable}, which have "
                    "none"
                )
            if kind != "dense" and len(self.input_shape) != 3:
                raise ValueError(
                    f"{architecture!r} needs images, `input_shape` (height, "
                    "width, channels). Received: "
                    f"input_shape={self.input_shape}"
                )

    def build(self, hp: "keras_tuner.HyperParameters") -> keras.Model:
        architecture = hp.Choice("architecture", self.architectures)
        method = self.methods[hp.Choice("method", list(self.methods))]
        hp.Choice("batch_size", [32, 64, 128, 256], default=128)
        kinds = {ARCHITECTURES[name] for name in self.architectures}
        layer_options = {}
        if kinds != {"auxiliary_head"}:
            kinds -= {"auxiliary_head"}
            layer_options = self._ask(hp, "tune_layers", kinds)
        objective_options = self._ask(hp, "tune_objectives")
        model_options = self._ask(hp, "tune_model")
        loss = self._ask(hp, "tune_loss")
        if ARCHITECTURES[architecture] == "auxiliary_head":
            # It decides its layers itself, and its goodness are logits.
            layer_options = {}
            if not isinstance(loss, LocalCrossentropy):
                loss = LocalCrossentropy()
        _refuse_without_parent(hp)
        model = getattr(applications, architecture)(
            self.input_shape,
            self.num_classes,
            method=method,
            width_multiplier=hp.Float(
                "width_multiplier", 0.1, 1.0, sampling="log"
            ),
            dropout=hp.Float("dropout", 0.0, 0.4, step=0.1),
            model_options=model_options,
            layer_options={**layer_options, **objective_options},
        )
        model.compile(
            optimizer=method.optimizer(
                hp.Float("learning_rate", 3e-4, 0.1, sampling="log"),
                hp.Float("weight_decay", 1e-5, 1e-2, sampling="log"),
            ),
            loss=loss,
            metrics=["accuracy"],
        )
        return model

    def _ask(self, hp, question, *arguments):
        """What the method of this trial answers.

        Methods that answer with the same function share its hyperparameters.
        All are asked, so that KerasTuner learns of every hyperparameter.
        """
        sharing = {}
        for name, method in self.methods.items():
            function = getattr(type(method), question)
            sharing.setdefault(function, []).append(name)
        for names in sharing.values():
            with hp.conditional_scope("method", names):
                if hp.get("method") in names:
                    method = self.methods[hp.get("method")]
                    answer = getattr(method, question)(hp, *arguments)
        return answer

    def fit(
        self,
        hp: "keras_tuner.HyperParameters",
        model: keras.Model,
        x: Data = None,
        y: Data = None,
        validation_data: Data = None,
        callbacks: Any = None,
        **kwargs: Any,
    ) -> Any:
        if "batch_size" in kwargs:
            raise keras_tuner_private.FatalValueError(
                "The batch size is a hyperparameter. Received: batch_size="
                f"{kwargs['batch_size']}. To fix it, register "
                "`space.Fixed('batch_size', ...)` in the HyperParameters that "
                "the tuner is given."
            )
        if "epochs" in hp.values:
            if "tuner/epochs" in hp.values:
                raise keras_tuner_private.FatalValueError(
                    "Hyperband decides the number of epochs itself. Received: "
                    "a space with `epochs`. Leave it out."
                )
            kwargs["epochs"] = hp.get("epochs")
        data = _data(hp.get("batch_size"), x, y, validation_data, kwargs)
        callbacks = list(callbacks or [])
        if hasattr(data["x"], "set_epoch"):
            # Keras's own models would see the first epoch's order again.
            callbacks.append(
                keras.callbacks.LambdaCallback(
                    on_epoch_begin=lambda epoch, logs: data["x"].set_epoch(
                        epoch
                    )
                )
            )
        backup = TrialBackup.of_trial(callbacks)
        if backup is None:
            _adapt(model, data["x"], kwargs)
            return model.fit(**data, callbacks=callbacks, **kwargs)
        next_epoch = backup.restore(model)
        if next_epoch:
            print(f"Trial resumed after epoch {next_epoch}.", flush=True)
            kwargs["initial_epoch"] = next_epoch
        else:
            _adapt(model, data["x"], kwargs)
        try:
            history = model.fit(
                **data, callbacks=[*callbacks, backup], **kwargs
            )
        except keras_tuner_private.FatalError:
            # The search ends here, and goes on here.
            raise
        except Exception:
            # If the tuner tries again, it starts anew.
            backup.remove()
            raise
        backup.remove()
        history.history = backup.history()
        return history


def _adapt(model, x, kwargs):
    """Adapts the whitening of a model that has one, to training images."""
    if not any(isinstance(layer, Whitening2D) for layer in model.layers):
        return
    if hasattr(x, "__array__"):
        # The last of them validate.
        held_out = kwargs.get("validation_split") or 0.0
        x = x[: int(len(x) * (1 - held_out))]
    adapt_whitening(model, x)


def _refuse_without_parent(hp):
    """Refuses what was registered to no avail, as a trial would not use it."""
    free = {known.name for known in hp.space if not known.conditions}
    for known in hp.space:
        if known.conditions and known.name in free:
            values = list(known.conditions[-1].values)
            raise keras_tuner_private.FatalValueError(
                f"`{known.name}` is a hyperparameter of some methods only, so "
                "that it must be registered with them. Received: a space "
                "where it has no parent. Register it with the arguments "
                f"parent_name='method', parent_values={values}."
            )


def _several(names: Any) -> list[Any]:
    """One, or more, as a list."""
    return list(names) if isinstance(names, (list, tuple)) else [names]


def _data(batch_size, x, y, validation_data, kwargs):
    """What `fit` is given, in batches of this size."""
    if callable(x) and y is None:
        parts = x(batch_size=batch_size)
        if not isinstance(parts, tuple) or len(parts) < 2:
            raise keras_tuner_private.FatalTypeError(
                "The function that makes the data must return (train, "
                f"validation). Received: {parts!r}"
            )
        data = dict(x=parts[0], validation_data=parts[1])
    elif hasattr(x, "__array__") and hasattr(y, "__array__"):
        data = dict(
            x=x, y=y, validation_data=validation_data, batch_size=batch_size
        )
    else:
        raise keras_tuner_private.FatalTypeError(
            "The batch size is tuned, so the data must be arrays `x, y`, or a "
            "function `batch_size -> (train, validation)` that batches a "
            f"pipeline. Received: x of type {type(x).__name__}, y of type "
            f"{type(y).__name__}"
        )
    if data["validation_data"] is None and not kwargs.get("validation_split"):
        raise keras_tuner_private.FatalValueError(
            "Trials are compared on validation data. Received none: give "
            "`validation_data` or `validation_split`, or let the function "
            "return (train, validation)."
        )
    return data
