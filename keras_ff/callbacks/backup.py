import contextlib
import os
import warnings
import weakref

import keras
from keras import ops

from keras_ff import files
from keras_ff.callbacks.backup_folder import BackupFolder
from keras_ff.folder_lock import FolderLock
from keras_ff.models.trainers import process_index
from keras_ff.models.trainers import scope_of
from keras_ff.models.trainers import whole_weights
from keras_ff.type_aliases import Path

CURE = "Give another folder, or remove these files to train anew."


class Backup(keras.callbacks.Callback):
    """Backs a training up after every epoch, so that it can be resumed.

    Whenever the training is killed, there is a whole backup or none. (Of
    `keras.callbacks.BackupAndRestore`, killed while it writes, weights and
    epoch may differ, and nothing may be left if it was the first time.) The
    last two epochs are kept, with checksums: if the last one is damaged, a
    warning says so and the one before is restored. It also keeps the logs of
    all epochs.

    It works with any Keras model. A `ForwardOnlyModel` goes on exactly as if
    it had not been interrupted: its weights hold its random states and epoch.

    One training at a time uses a folder; a second process is refused at once
    (not on Windows). Where several processes train one model together (JAX,
    `torch.distributed`), the first one writes and all restore, so all must
    reach the folder.

    Args:
        folder: path of the folder of this training's backup. Other files in
            it stay.

    Raises:
        TypeError: if `folder` is no path.
        ValueError: if `folder` is a file; in `fit`, if another process uses
            the folder, if it holds a backup that was not restored to this
            model, or a `backup.json` that is not of this class, or if the
            training does not begin where the one that was restored ended.
        OSError: in `fit`, if the backup cannot be written; the one before is
            still whole.

    Example:

    ```python
    backup = keras_ff.callbacks.Backup("backup")
    model.fit(
        train,
        epochs=10,
        initial_epoch=backup.restore(model),
        callbacks=[backup],  # the last one, so that others had their turn
    )
    backup.remove()
    ```
    """

    # What it is a backup of, as JSON reads it, for those who must know.
    _subject = None

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = files.check_folder("folder", folder)
        self._files = BackupFolder(self.folder)
        self._lock = FolderLock(os.path.join(self.folder, "backup.lock"))
        self._logs = []
        # What this training restored or wrote last, and of which model.
        self._record = None
        self._of = None
        # The epoch that has to come next, since a restore.
        self._next = None

    def restore(self, model: keras.Model) -> int:
        """Gives a built and compiled model what was backed up.

        Returns:
            The number of the epoch that comes next: 0 without a backup.

        Raises:
            ValueError: if another process uses the folder, if its backup is
                damaged and there is none before it, or if it is of another
                model or optimizer.
        """
        if self._writes() and os.path.isdir(self.folder):
            # What cannot be written to is only read.
            with contextlib.suppress(OSError):
                self._lock.acquire()
        return self._restore(model, [self._files])

    def _restore(self, model, places):
        """Restores the last one of several places."""
        damage = []
        found = [(place, place.read(damage)) for place in places]
        found = [(p, r) for p, r in found if r and self._fits(r)]
        if not found:
            return self._begin_anew(damage)
        place, record = max(found, key=lambda pair: pair[1]["epoch"])
        if damage:
            warnings.warn(
                "\n".join(damage) + "\nThe training goes on from the last "
                f"whole backup, of {record['epoch']} epochs."
            )
        self._load(model, place, record)
        self._next = record["epoch"]
        # Weights without their optimizer are looked at, not trained on.
        whole = (record["optimizer"] is None) == (_optimizer(model) is None)
        if place is self._files and whole:
            self._keep(record, model)
        self._logs = record["logs"]
        return record["epoch"]

    def _fits(self, record):
        """Whether it is a backup of this training."""
        return True

    def _keep(self, record, model):
        self._record = record
        self._of = weakref.ref(model)

    def _begin_anew(self, damage):
        _refuse(damage)
        return 0

    def _load(self, model, place, record):
        if record["shapes"] != _shapes(model.weights):
            raise ValueError(
                f"{place.path} is a backup of another model, or this one is "
                "not built yet: the shapes of its weights are other ones. "
                f"Saved: {record['shapes']}. Received: "
                f"{_shapes(model.weights)}. Build the same model, or give "
                "another folder."
            )
        # What is not compiled has none.
        optimizer = _optimizer(model)
        if optimizer is not None:
            if not optimizer.built:
                # Loss scaling would make its variables twice.
                with scope_of(model):
                    optimizer.build(model.trainable_variables)
            given = _describe(optimizer)
            if record["optimizer"] != given:
                raise ValueError(
                    f"{place.path} is a backup of a training with another "
                    f"optimizer. Saved: {record['optimizer']}. Received: "
                    f"{given}. Compile the model with the same optimizer, or "
                    "give another folder."
                )
        model.load_weights(place.weights(record))

    def history(self) -> dict[str, list[float]]:
        """The logs of all epochs, those before an interruption included.

        Returns:
            Dict from names to lists, as `keras.callbacks.History.history`.
        """
        history = {}
        for logs in self._logs:
            for name, value in logs.items():
                history.setdefault(name, []).append(value)
        return history

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, float] | None = None
    ) -> None:
        expected, self._next = self._next, None
        if expected is not None and epoch != expected:
            self._lock.release()
            raise ValueError(
                f"{expected} epochs were restored from {self.folder}, and the "
                f"training begins with epoch {epoch}, so that schedules, logs "
                "and the next backup would count wrongly. Call `fit(..., "
                "initial_epoch=backup.restore(model), callbacks=[backup])`."
            )

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        if not self._writes():
            return
        try:
            os.makedirs(self.folder, exist_ok=True)
            self._lock.acquire()
        except OSError as error:
            raise files.unwritten(self.folder, error) from error
        try:
            self._check_restored()
        except ValueError:
            self._lock.release()
            raise

    def _check_restored(self):
        """Raises if a backup would be lost that this model does not know."""
        damage = []
        found = self._files.read(damage)
        if found is None:
            _refuse(damage)
        elif not self._knows(found):
            raise ValueError(
                f"{self.folder} holds a backup of {found['epoch']} epochs "
                "that was not restored to this model, compiled, and it is not "
                "overwritten. Go on from it by `fit(..., initial_epoch="
                "backup.restore(model), callbacks=[backup])`, train anew "
                "after `backup.remove()`, or give another folder."
            )

    def _knows(self, record):
        """Whether it is what this model was given or wrote last."""
        return (
            self._record is not None
            and self._record["weights"] == record["weights"]
            and self._of() is self.model
        )

    def on_epoch_end(
        self, epoch: int, logs: dict[str, float] | None = None
    ) -> None:
        row = {
            # Metrics may be vectors.
            name: ops.convert_to_numpy(value).tolist()
            for name, value in (logs or {}).items()
        }
        self._logs = [*self._logs[:epoch], row]
        with whole_weights(self.model):
            if self._writes():
                self._write(epoch)

    def _write(self, epoch):
        self._lock.acquire(take_over=False)
        # A training that begins anew does not go back to an earlier one.
        before = self._record
        if before is not None and before["epoch"] > epoch:
            before = None
        record = {
            "epoch": epoch + 1,
            "shapes": _shapes(self.model.weights),
            "optimizer": _describe(self.model.optimizer),
            "subject": self._subject,
            "logs": self._logs,
        }
        record = self._files.write(self.model, record, before)
        self._keep(record, self.model)

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        self._lock.release()

    def remove(self) -> None:
        """Removes the backup, and the folder if nothing else is in it.

        Raises:
            ValueError: if another process uses the folder.
        """
        if self._writes() and os.path.isdir(self.folder):
            self._lock.acquire()
            self._files.clear()
            self._record = self._of = self._next = None
            self._lock.release()
            with contextlib.suppress(OSError):
                os.rmdir(self.folder)

    @staticmethod
    def _writes():
        """Whether this is the one of several processes that writes."""
        return process_index() == 0


def _refuse(damage):
    if damage:
        raise ValueError("\n".join([*damage, CURE]))


def _optimizer(model):
    return getattr(model, "optimizer", None)


def _shapes(variables):
    return [list(variable.shape) for variable in variables]


def _describe(optimizer):
    """What tells an optimizer from another one, as JSON reads it."""
    if optimizer is None:
        return None
    inner = getattr(optimizer, "inner_optimizer", None)
    parts = getattr(optimizer, "optimizers", [] if inner is None else [inner])
    return {
        "class": type(optimizer).__name__,
        "of": [_describe(part) for part in parts],
        "shapes": _shapes(optimizer.variables),
    }
