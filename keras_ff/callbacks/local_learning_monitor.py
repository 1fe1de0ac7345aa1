import contextlib
import itertools
import os
import time
import warnings

import keras

from keras_ff import visualization
from keras_ff.checks import check_integer
from keras_ff.files import check_folder
from keras_ff.models import ForwardOnlyModel
from keras_ff.models.trainers import process_index
from keras_ff.models.trainers import whole_weights
from keras_ff.type_aliases import Path
from keras_ff.visualization import directions
from keras_ff.visualization import shares


class LocalLearningMonitor(keras.callbacks.Callback):
    """Shows in TensorBoard what the local layers learn.

    After every epoch it writes, in `log_dir/train` and, of validation data,
    in `log_dir/validation`, beside what `keras.callbacks.TensorBoard` writes:

    - `local_loss/<layer>` and `local_accuracy/<layer>`, if the model was made
      with `layer_metrics=True`;
    - `contribution/<layer>`: its weight in the prediction;
    - `temperature/<layer>`, `entropy/<layer>` (from 0 to 1, relative to
      ln (classes)) and `specialization/<layer>` (from 1 / classes to 1, the
      share of a channel in its own class) of layers with an assignment of
      channels to classes;
    - `separation/<layer>`: of layers with prototypes, the angle from a
      prototype to the nearest of another class, in degrees, on average;

    and, as images, `assignment/<layer>`, `prototype_similarity/<layer>` and
    `contributions`, drawn by `keras_ff.visualization`.

    Steps are the model's `epoch`, the number of its finished epochs. A
    resumed training goes on with the right number, and what was written after
    the state that it resumes from is no longer shown.

    It works on all backends and needs no TensorFlow. KerasTuner trains every
    trial with a copy (`copy.deepcopy`) of its callbacks: a copy writes into
    the first free one of `log_dir/run_0`, `log_dir/run_1` and so on. Where
    several processes train one model together, the first one writes.

    Args:
        log_dir: path of the folder to write into.
        image_freq: int, after how many epochs images are written. `0` writes
            none. Defaults to `5`.

    Raises:
        ValueError: if `image_freq` is negative, or `log_dir` is a file.
        TypeError: if `image_freq` is no integer or `log_dir` no path, and in
            `fit`, if the model is no `ForwardOnlyModel`.
        ImportError: if tensorboardX or matplotlib is not installed.

    Example:

    ```python
    monitor = keras_ff.callbacks.LocalLearningMonitor("logs")
    model.fit(
        train, validation_data=validation, epochs=10, callbacks=[monitor]
    )
    # tensorboard --logdir logs
    ```
    """

    def __init__(self, log_dir: Path, image_freq: int = 5) -> None:
        super().__init__()
        check_integer("image_freq", image_freq, minimum=0)
        _import_writer()
        self.log_dir = check_folder("log_dir", log_dir)
        self.image_freq = int(image_freq)
        self._is_copy = False
        self._writers = {}
        # From an epoch to the contribution weights after it.
        self._weights = {}

    def __deepcopy__(self, memo):
        copy = type(self)(self.log_dir, self.image_freq)
        copy._is_copy = True
        return copy

    def set_model(self, model: keras.Model) -> None:
        if not isinstance(model, ForwardOnlyModel):
            raise TypeError(
                "LocalLearningMonitor watches the local layers of a "
                "keras_ff.models.ForwardOnlyModel. Received: a model of type "
                f"{type(model).__name__}"
            )
        super().set_model(model)
        if not model.layer_metrics:
            warnings.warn(
                "LocalLearningMonitor cannot log the loss and the accuracy of "
                f"local layers: model '{model.name}' does not measure them. "
                "Make it with `layer_metrics=True`. All else is logged.",
                stacklevel=2,
            )

    def on_epoch_end(
        self, epoch: int, logs: dict[str, float] | None = None
    ) -> None:
        with whole_weights(self.model):
            if process_index() == 0:
                self._write(logs or {})

    def _write(self, logs):
        model = self.model
        step = model.epoch
        for name, run, value in _metrics(model, logs):
            self._writer(run, step).add_scalar(name, float(value), step)
        train = self._writer("train", step)
        for name, value in self._measurements(model, step):
            train.add_scalar(name, float(value), step)
        if self.image_freq and step % self.image_freq == 0:
            for name, draw in self._pictures(model):
                train.add_figure(name, _figure(draw), step)
        # A crash loses nothing.
        for writer in self._writers.values():
            writer.flush()

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers = {}

    def _writer(self, run, step):
        """The writer of `"train"` or `"validation"`, made when needed.

        Only then is the model's epoch that of the state that it resumed from.
        """
        if run not in self._writers:
            if self._is_copy:
                self.log_dir = _new_folder(self.log_dir)
                self._is_copy = False
            self._writers[run] = _import_writer()(
                os.path.join(self.log_dir, run),
                purge_step=step,
                # Files are named by the second; a later one would overwrite.
                filename_suffix=f".{time.time_ns()}",
            )
        return self._writers[run]

    def _measurements(self, model, step):
        """Names and values of what is read from the model itself."""
        weights = model.contribution.weights
        if step - 1 not in self._weights:
            self._weights.clear()
        self._weights[step] = weights
        for layer, weight in zip(model.local_layers, weights):
            yield f"contribution/{layer.name}", weight
            if shares.has_shares(layer):
                values = shares.as_shares(layer)
                yield (
                    f"temperature/{layer.name}",
                    keras.ops.convert_to_numpy(
                        layer.head.current_temperature()
                    ),
                )
                yield f"entropy/{layer.name}", shares.relative_entropy(values)
                yield (
                    f"specialization/{layer.name}",
                    shares.specialization(values),
                )
            if directions.has_directions(layer):
                yield (
                    f"separation/{layer.name}",
                    directions.separation(directions.as_directions(layer)),
                )

    def _pictures(self, model):
        """Names and functions that draw on axes."""
        names = [layer.name for layer in model.local_layers]
        rows = list(self._weights.values())
        kind = "area" if min(map(min, rows)) >= 0 else "line"
        yield (
            "contributions",
            lambda ax: visualization.contributions(
                rows, names, kind, first_epoch=min(self._weights), ax=ax
            ),
        )
        for layer in model.local_layers:
            if shares.has_shares(layer):
                yield (
                    f"assignment/{layer.name}",
                    lambda ax, layer=layer: visualization.assignment(
                        layer, ax=ax
                    ),
                )
            if directions.has_directions(layer):
                yield (
                    f"prototype_similarity/{layer.name}",
                    lambda ax, layer=layer: visualization.prototype_similarity(
                        layer, ax=ax
                    ),
                )


def _metrics(model, logs):
    """Tags, runs and values of the layers' own losses and accuracies."""
    for layer in model.local_layers:
        for prefix, run in (("", "train"), ("val_", "validation")):
            for key in ("loss", "accuracy"):
                value = logs.get(f"{prefix}{layer.name}_{key}")
                if value is not None:
                    yield f"local_{key}/{layer.name}", run, value


def _figure(draw):
    """A figure that pyplot does not know, so that no window opens."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    draw(figure.subplots())
    return figure


def _new_folder(parent):
    numbers = itertools.count()
    while True:
        folder = os.path.join(parent, f"run_{next(numbers)}")
        with contextlib.suppress(FileExistsError):
            os.makedirs(folder)
            return folder


def _import_writer():
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise ImportError(
            "`LocalLearningMonitor` needs `tensorboardX`, which could not be "
            'imported. Install it with: pip install "keras_ff[plot]"'
        ) from error
    return SummaryWriter
