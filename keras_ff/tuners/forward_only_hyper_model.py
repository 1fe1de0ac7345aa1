import keras
import keras_tuner
from keras_tuner.errors import FatalTypeError
from keras_tuner.errors import FatalValueError

from keras_ff import applications
from keras_ff import contributions
from keras_ff import losses
from keras_ff import regularizers
from keras_ff.checks import check_num_classes
from keras_ff.tuners.trial_backup import TrialBackup

# The methods that each architecture takes.
METHODS = ("caw", "cw", "prototype", "projection", "backprop")
ARCHITECTURES = {
    "mlp": tuple(method for method in METHODS if method != "cw"),
    "tiny_cnn": METHODS,
    "vgg14": METHODS,
    "resnet17": METHODS,
}


class ForwardOnlyHyperModel(keras_tuner.HyperModel):
    """The networks of `keras_ff.applications` as a search space.

    | hyperparameter | range | of which methods |
    |---|---|---|
    | `architecture`, `method` | as given | all |
    | `width_multiplier` | 0.1 to 1 | all |
    | `learning_rate` of AdamW | 3e-4 to 0.1 | all |
    | `weight_decay` of AdamW | 1e-5 to 1e-2 | all |
    | `dropout` | 0 to 0.4 | all |
    | `batch_size` | 32 to 256 | all |
    | `contribution` | all of `keras_ff.contributions` | all but `"backprop"` |
    | `label_smoothing` | 0 to 0.2 | all but `"prototype"` |
    | `temperature` | 1 to 30 | `"caw"` |
    | `temperature_decay` per epoch | 0.97 to 1 | `"caw"` |
    | `entropy`, `orthogonality`: scales of the regularizers | 1e-4 to 1 \
| `"caw"` |
    | `pooling_max`, `pooling_min` | 0 to 0.2 | `"caw"`, convolutions |
    | `margin`, `scale` | 0 to 0.5, 4 to 32 | `"prototype"` |
    | `prototypes_per_class` | 1, 2, 4 | `"prototype"` |
    | `embedding_size` | 32 to 512 | `"prototype"` |

    A hyperparameter is narrowed or fixed in KerasTuner's way, by registering
    it first, see the example. Those of some methods only have the parent
    `method`.

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
        architectures: one or more names out of `"mlp"`, `"tiny_cnn"`,
            `"vgg14"` and `"resnet17"`. Defaults to `("tiny_cnn",)`.
        methods: one or more names out of `"caw"`, `"cw"`, `"prototype"`,
            `"projection"` and `"backprop"`, see `keras_ff.applications`. Every
            architecture must take every method: `"mlp"` does not take `"cw"`.
            Defaults to `("caw", "prototype", "projection")`.
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
        input_shape,
        num_classes,
        architectures=("tiny_cnn",),
        methods=("caw", "prototype", "projection"),
        name=None,
        tunable=True,
    ):
        super().__init__(name, tunable)
        if not isinstance(input_shape, (tuple, list)):
            raise TypeError(
                "`input_shape` must be the shape of one sample, such as "
                f"(28, 28, 1). Received: input_shape={input_shape!r}"
            )
        self.input_shape = tuple(input_shape)
        self.num_classes = check_num_classes(num_classes)
        self.architectures = _known(
            "architectures", architectures, ARCHITECTURES
        )
        self.methods = _known("methods", methods, METHODS)
        for architecture in self.architectures:
            taken = ARCHITECTURES[architecture]
            refused = [m for m in self.methods if m not in taken]
            if refused:
                raise ValueError(
                    "Every one of `architectures` must take every one of "
                    f"`methods`. Received: {architecture!r} with {refused}. "
                    f"{architecture!r} takes {list(taken)}"
                )
            if architecture != "mlp" and len(self.input_shape) != 3:
                raise ValueError(
                    f"{architecture!r} needs images, `input_shape` (height, "
                    "width, channels). Received: "
                    f"input_shape={self.input_shape}"
                )

    def build(self, hp):
        architecture = hp.Choice("architecture", self.architectures)
        method = hp.Choice("method", self.methods)
        hp.Choice("batch_size", [32, 64, 128, 256], default=128)
        local = [name for name in METHODS if name != "backprop"]
        smoothed = [name for name in METHODS if name != "prototype"]
        layer_options = {
            **self._when(hp, ["caw"], _assignment),
            **self._when(hp, ["prototype"], _prototypes),
        }
        if self.architectures != ["mlp"]:
            # Dense layers have nothing to pool.
            layer_options.update(self._when(hp, ["caw"], _pooling))
        model_options = self._when(hp, local, _contribution)
        if method == "caw":
            model_options["layer_clipnorm"] = 1.0  # As published.
        loss = {
            **self._when(hp, smoothed, _crossentropy),
            **self._when(hp, ["prototype"], _margin),
        }
        model = getattr(applications, architecture)(
            self.input_shape,
            self.num_classes,
            method=method,
            width_multiplier=hp.Float(
                "width_multiplier", 0.1, 1.0, sampling="log"
            ),
            dropout=hp.Float("dropout", 0.0, 0.4, step=0.1),
            model_options=model_options,
            layer_options=layer_options,
        )
        model.compile(
            optimizer=keras.optimizers.AdamW(
                hp.Float("learning_rate", 3e-4, 0.1, sampling="log"),
                weight_decay=hp.Float(
                    "weight_decay", 1e-5, 1e-2, sampling="log"
                ),
            ),
            metrics=["accuracy"],
            **loss,
        )
        return model

    def _when(self, hp, methods, declare):
        """What `declare(hp)` gives, with one of these methods."""
        methods = [method for method in self.methods if method in methods]
        if methods:
            with hp.conditional_scope("method", methods):
                if hp.get("method") in methods:
                    return declare(hp)
        return {}

    def fit(
        self,
        hp,
        model,
        x=None,
        y=None,
        validation_data=None,
        callbacks=None,
        **kwargs,
    ):
        if "batch_size" in kwargs:
            raise FatalValueError(
                "The batch size is a hyperparameter. Received: batch_size="
                f"{kwargs['batch_size']}. To fix it, register "
                "`space.Fixed('batch_size', ...)` in the HyperParameters that "
                "the tuner is given."
            )
        if "epochs" in hp.values:
            if "tuner/epochs" in hp.values:
                raise FatalValueError(
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
            return model.fit(**data, callbacks=callbacks, **kwargs)
        next_epoch = backup.restore(model)
        if next_epoch:
            print(f"Trial resumed after epoch {next_epoch}.", flush=True)
            kwargs["initial_epoch"] = next_epoch
        try:
            history = model.fit(
                **data, callbacks=[*callbacks, backup], **kwargs
            )
        except Exception:
            # If the tuner tries again, it starts anew.
            backup.remove()
            raise
        backup.remove()
        history.history = backup.history()
        return history


def _assignment(hp):
    # Normalized, so that a scale means the same at every width.
    entropy = regularizers.AssignmentEntropy(
        hp.Float("entropy", 1e-4, 1.0, sampling="log"), scale="normalized"
    )
    orthogonality = regularizers.AssignmentOrthogonality(
        hp.Float("orthogonality", 1e-4, 1.0, sampling="log"),
        warmup_epochs=0,
        scale="normalized",
    )
    return dict(
        temperature=hp.Float("temperature", 1.0, 30.0, sampling="log"),
        temperature_decay=hp.Float("temperature_decay", 0.97, 1.0),
        assignment_regularizers=[entropy, orthogonality],
    )


def _pooling(hp):
    largest = hp.Float("pooling_max", 0.0, 0.2)
    # Mean and maximum add up to one, as published.
    return dict(
        pooling=(1 - largest, largest, hp.Float("pooling_min", 0.0, 0.2))
    )


def _prototypes(hp):
    return dict(
        prototypes_per_class=hp.Choice("prototypes_per_class", [1, 2, 4]),
        embedding_size=hp.Choice("embedding_size", [32, 128, 512]),
    )


def _contribution(hp):
    name = hp.Choice(
        "contribution", list(contributions.BY_NAME), default="loss_aware"
    )
    return dict(contribution=contributions.BY_NAME[name]())


def _crossentropy(hp):
    smoothing = hp.Float("label_smoothing", 0.0, 0.2, step=0.05)
    return dict(loss=losses.LocalCrossentropy(smoothing))


def _margin(hp):
    return dict(
        loss=losses.SmoothMarginLoss(
            hp.Float("margin", 0.0, 0.5, step=0.05),
            hp.Float("scale", 4.0, 32.0, sampling="log"),
        )
    )


def _known(argument, names, known):
    """The names as a list, if all are known."""
    names = [names] if isinstance(names, str) else list(names)
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise ValueError(
            f"`{argument}` must be some of {list(known)}. Received: {names}"
        )
    return names


def _data(batch_size, x, y, validation_data, kwargs):
    """What `fit` is given, in batches of this size."""
    if callable(x) and y is None:
        parts = x(batch_size=batch_size)
        if not isinstance(parts, tuple) or len(parts) < 2:
            raise FatalTypeError(
                "The function that makes the data must return (train, "
                f"validation). Received: {parts!r}"
            )
        data = dict(x=parts[0], validation_data=parts[1])
    elif hasattr(x, "__array__") and hasattr(y, "__array__"):
        data = dict(
            x=x, y=y, validation_data=validation_data, batch_size=batch_size
        )
    else:
        raise FatalTypeError(
            "The batch size is tuned, so the data must be arrays `x, y`, or a "
            "function `batch_size -> (train, validation)` that batches a "
            f"pipeline. Received: x of type {type(x).__name__}, y of type "
            f"{type(y).__name__}"
        )
    if data["validation_data"] is None and not kwargs.get("validation_split"):
        raise FatalValueError(
            "Trials are compared on validation data. Received none: give "
            "`validation_data` or `validation_split`, or let the function "
            "return (train, validation)."
        )
    return data
