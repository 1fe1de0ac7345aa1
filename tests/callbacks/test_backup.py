import functools
import json
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys
from unittest import mock

import keras
import numpy as np
import pytest

import keras_ff
from keras_ff.callbacks import Backup
from keras_ff.callbacks.backup_folder import BackupFolder

# What becomes of files no backend changes.
pytestmark = pytest.mark.only_on("torch")
every_backend = pytest.mark.only_on("tensorflow", "jax", "torch")


class Killed(BaseException):
    pass


def make_forward_only():
    keras.utils.set_random_seed(0)
    model = keras_ff.models.ForwardOnlyModel(
        [
            keras.Input((6,)),
            keras_ff.layers.CAWDense(10, num_classes=5, dropout=0.3),
            keras_ff.layers.CAWDense(10, num_classes=5),
        ],
        contribution=keras_ff.contributions.LossAware(),
    )
    model.compile(optimizer=keras.optimizers.AdamW(0.01))
    return model


def make_keras():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(5)])
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def data(seed):
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(24, 6)).astype("float32")
    return x, generator.integers(5, size=24)


def train(model, folder, epochs=4):
    """Returns the epoch that came first, the backup and Keras's history."""
    backup = Backup(folder)
    first = backup.restore(model)
    history = model.fit(
        keras_ff.datasets.ArrayBatches(data(0), 8),
        validation_data=data(1),
        epochs=epochs,
        initial_epoch=first,
        callbacks=[backup],
        shuffle=False,
        verbose=0,
    )
    return first, backup, history.history


def assert_same_state(model, other):
    for mine, its in zip(
        model.variables + model.optimizer.variables,
        other.variables + other.optimizer.variables,
        strict=True,
    ):
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(mine),
            keras.ops.convert_to_numpy(its),
            rtol=1e-5,
            atol=1e-6,
        )


def kill(monkeypatch, owner, name, call, done):
    """Kills at a call of a function, with half or all of its work done."""
    original = getattr(owner, name)
    calls = []

    def killing(*args, **kwargs):
        calls.append(args)
        if len(calls) < call:
            return original(*args, **kwargs)
        if done:
            original(*args, **kwargs)
        elif name == "save_weights":
            pathlib.Path(args[-1]).write_bytes(b"half a file")
        raise Killed

    monkeypatch.setattr(owner, name, killing)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """By kind of model, one that was not interrupted and its history."""

    @functools.cache
    def train_whole(make):
        model = make()
        _, _, history = train(model, tmp_path_factory.mktemp("whole"))
        return model, history

    return train_whole


@pytest.mark.parametrize(
    "make, owner, name, call, done, kept",
    [
        (make_forward_only, keras.Model, "save_weights", 3, False, 2),
        (make_keras, keras.Model, "save_weights", 1, False, 0),
        (make_keras, keras.Model, "save_weights", 3, False, 2),
        (make_keras, os, "replace", 1, False, 0),
        (make_keras, os, "replace", 2, False, 1),
        (make_keras, os, "replace", 5, False, 2),
        (make_keras, os, "replace", 5, True, 3),
        (make_keras, BackupFolder, "_clean", 3, False, 3),
    ],
)
def test_killed_while_it_saves(
    make, owner, name, call, done, kept, whole, tmp_path, monkeypatch
):
    with monkeypatch.context() as patch:
        kill(patch, owner, name, call, done)
        with pytest.raises(Killed):
            train(make(), tmp_path)
    resumed = make()
    first, backup, _ = train(resumed, tmp_path)
    assert first == kept
    expected, history = whole(make)
    assert_same_state(resumed, expected)
    assert backup.history().keys() == history.keys()
    for key, values in history.items():
        np.testing.assert_allclose(
            backup.history()[key], values, rtol=1e-5, atol=1e-6
        )
    assert kinds(tmp_path) == [
        "3-#.weights.h5",
        "4-#.weights.h5",
        "backup.json",
        "backup.previous.json",
    ]


def kinds(folder):
    """Its files, without what is drawn by chance in their names."""
    return sorted(re.sub("[0-9a-f]{16}", "#", n) for n in os.listdir(folder))


def test_finished_training_is_not_repeated(tmp_path):
    model, again = make_forward_only(), make_forward_only()
    train(model, tmp_path, epochs=2)
    first, _, _ = train(again, tmp_path, epochs=2)
    assert first == again.epoch == 2
    assert_same_state(again, model)


def test_remove(tmp_path):
    model = make_keras()
    _, backup, _ = train(model, tmp_path / "backup", epochs=2)
    backup.remove()
    assert not os.listdir(tmp_path)
    assert Backup(tmp_path / "backup").restore(model) == 0
    backup.remove()


@every_backend
def test_metrics_that_are_vectors(tmp_path):
    model = make_keras()
    model.compile(
        "adam",
        "categorical_crossentropy",
        metrics=[keras.metrics.F1Score(average=None)],
    )
    backup = Backup(tmp_path)
    x, y = data(0)
    y = keras.utils.to_categorical(y, 5)
    # Trained anew with the same backup, the first logs are gone.
    for _ in range(2):
        model.fit(x, y, epochs=1, callbacks=[backup], verbose=0)
    again = Backup(tmp_path)
    assert again.restore(model) == 1
    assert again.history() == backup.history()
    assert np.shape(again.history()["f1_score"]) == (1, 5)


def test_killed_in_a_second_training_of_as_many_epochs(tmp_path, monkeypatch):
    model = make_keras()
    _, backup, _ = train(model, tmp_path, epochs=1)
    first = model.get_weights()
    with monkeypatch.context() as patch:
        kill(patch, keras.Model, "save_weights", 1, False)
        with pytest.raises(Killed):
            model.fit(*data(1), callbacks=[backup], verbose=0)
    assert Backup(tmp_path).restore(model) == 1
    for mine, its in zip(model.get_weights(), first, strict=True):
        np.testing.assert_array_equal(mine, its)
    # Trained anew, it does not go back to what was trained before.
    model.fit(*data(1), callbacks=[backup], verbose=0)
    assert kinds(tmp_path) == ["1-#.weights.h5", "backup.json"]


@pytest.fixture(scope="module")
def two_epochs(tmp_path_factory):
    """A backup that others copy, and its model."""
    folder = tmp_path_factory.mktemp("backup")
    model = make_keras()
    train(model, folder, epochs=2)
    return folder, model


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 16
    path.write_bytes(content)


@pytest.mark.parametrize(
    "pattern, harm, message",
    [
        ("2-*.weights.h5", flip, "2-.*h5 is damaged: its checksum"),
        ("2-*.weights.h5", pathlib.Path.unlink, "2-.*h5 is missing"),
        ("backup.json", flip, "backup.json is "),
        ("backup.json", lambda p: p.write_text(""), "backup.json is damaged"),
        ("backup.json", lambda p: p.write_text("[1]"), "json is not a backup"),
    ],
)
def test_damaged_backup(pattern, harm, message, two_epochs, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(two_epochs[0], folder)
    (damaged,) = folder.glob(pattern)
    harm(damaged)
    model = make_keras()
    backup = Backup(folder)
    with pytest.warns(UserWarning, match=f"(?s){message}.*of 1 epochs"):
        assert backup.restore(model) == 1
    assert np.shape(backup.history()["loss"]) == (1,)
    # It goes on there, and the damaged one is overwritten.
    model.fit(
        *data(0), epochs=3, initial_epoch=1, callbacks=[backup], verbose=0
    )
    assert Backup(folder).restore(make_keras()) == 3
    assert len(list(folder.glob("*.weights.h5"))) == 2
    for path in folder.glob("*.weights.h5"):
        flip(path)
    before = {p: p.read_bytes() for p in folder.iterdir()}
    with pytest.raises(ValueError, match="(?s)3-.*2-.*Give another folder"):
        Backup(folder).restore(model)
    assert before == {p: p.read_bytes() for p in folder.iterdir()}


@pytest.mark.parametrize("content", ['{"epoch": 3}', "not JSON", "[]"])
def test_foreign_files_stay(content, two_epochs, tmp_path):
    model = two_epochs[1]
    shutil.copytree(two_epochs[0], tmp_path, dirs_exist_ok=True)
    own = ["best.weights.h5", "3.weights.h5", "backup.json.part", "notes.txt"]
    for name in own:
        (tmp_path / name).write_text("mine")
    (tmp_path / "logs").mkdir()
    train(model, tmp_path, epochs=3)
    Backup(tmp_path).remove()
    assert sorted(os.listdir(tmp_path)) == sorted([*own, "logs"])
    # What stands where the backup would is not overwritten.
    (tmp_path / "backup.json").write_text(content)
    with pytest.raises(ValueError, match="(?s)backup.json is .*Give another"):
        model.fit(*data(0), callbacks=[Backup(tmp_path)], verbose=0)
    with pytest.raises(ValueError, match="(?s)backup.json is .*Give another"):
        Backup(tmp_path).restore(model)
    Backup(tmp_path).remove()
    assert (tmp_path / "backup.json").read_text() == content
    assert all((tmp_path / n).read_text() == "mine" for n in own)


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: keras.optimizers.Nadam(),
        lambda: keras.optimizers.SGD(),
        lambda: keras.optimizers.Adam(amsgrad=True),
        lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam()),
        lambda: keras.optimizers.MultiOptimizer(
            keras.optimizers.OptimizerMap(keras.optimizers.Adam())
        ),
    ],
)
def test_another_optimizer_is_refused(optimizer, two_epochs):
    model = make_keras()
    model.compile(optimizer(), "sparse_categorical_crossentropy")
    before = model.get_weights()
    with pytest.raises(
        ValueError, match="another optimizer. Saved: .*Adam.* the same optim"
    ):
        Backup(two_epochs[0]).restore(model)
    for mine, its in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, its)


def test_another_model_is_refused(two_epochs):
    other = keras.Sequential([keras.Input((6,)), keras.layers.Dense(4)])
    other.compile("adam")
    with pytest.raises(ValueError, match=r"another model.*\[6, 5\].*\[6, 4\]"):
        Backup(two_epochs[0]).restore(other)
    unbuilt = keras.Sequential([keras.layers.Dense(5)])
    unbuilt.compile("adam")
    with pytest.raises(ValueError, match="not built"):
        Backup(two_epochs[0]).restore(unbuilt)
    # To look at it needs no optimizer.
    looked = keras.Sequential([keras.Input((6,)), keras.layers.Dense(5)])
    assert Backup(two_epochs[0]).restore(looked) == 2


def test_full_disk_loses_nothing(two_epochs, tmp_path):
    shutil.copytree(two_epochs[0], tmp_path, dirs_exist_ok=True)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    model = make_keras()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
    try:
        with pytest.raises(OSError, match="(?s)before is unchanged.*3-"):
            train(model, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert before == {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    assert train(model, tmp_path)[0] == 2


def test_folder_that_cannot_be_written(two_epochs, tmp_path, monkeypatch):
    # The folder is read-only (root may write anywhere).
    folder = tmp_path / "copy"
    shutil.copytree(two_epochs[0], folder)
    monkeypatch.setattr("builtins.open", read_only(open))
    backup = Backup(folder)
    model = make_keras()
    assert backup.restore(model) == 2
    with pytest.raises(PermissionError, match="let the folder be written"):
        model.fit(*data(0), callbacks=[backup], verbose=0)


def read_only(original):
    def open_to_read(path, mode="r", *args, **kwargs):
        if set(mode) & set("wax+"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return original(path, mode, *args, **kwargs)

    return open_to_read


# Without the rest of the package, to start fast.
HOLD = """
import os, sys
sys.path.insert(0, {folder!r})
import folder_lock
lock = folder_lock.FolderLock({file!r})
lock.acquire()
if os.fork():
    print("held", flush=True)
    sys.stdin.read()
else:
    # Outlives it, as a worker that loads data may.
    os.close(1)
    sys.stdin.read()
"""


def test_second_process_in_a_folder_is_told_at_once(two_epochs, tmp_path):
    shutil.copytree(two_epochs[0], tmp_path, dirs_exist_ok=True)
    model, file = two_epochs[1], str(tmp_path / "backup.lock")
    script = HOLD.format(folder=os.path.dirname(keras_ff.__file__), file=file)
    holder = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout.readline() == b"held\n"
        in_use = f"is in use by process {holder.pid} on .* end it, or give"
        for attempt in (
            lambda: Backup(tmp_path).restore(model),
            lambda: Backup(tmp_path).remove(),
            lambda: model.fit(*data(0), callbacks=[Backup(tmp_path)]),
        ):
            with pytest.raises(ValueError, match=in_use):
                attempt()
        # A run that was killed leaves the file, but no lock.
        holder.kill()
        holder.wait()
        assert os.path.exists(file)
        assert Backup(tmp_path).restore(model) == 2
    finally:
        holder.kill()
        holder.stdin.close()
        holder.stdout.close()


def test_within_a_process_the_last_one_has_the_folder(two_epochs, tmp_path):
    shutil.copytree(two_epochs[0], tmp_path, dirs_exist_ok=True)
    model, other = make_keras(), make_keras()
    first = Backup(tmp_path)
    assert first.restore(model) == 2
    second = Backup(tmp_path)
    assert second.restore(other) == 2

    def take_over(epoch, logs):
        # A look at it is no harm.
        assert Backup(tmp_path).restore(make_keras()) == epoch
        if epoch == 3:
            second.restore(other)

    callback = keras.callbacks.LambdaCallback(on_epoch_begin=take_over)
    with pytest.raises(ValueError, match="was taken over .* Give every run"):
        model.fit(
            *data(0),
            epochs=5,
            initial_epoch=2,
            callbacks=[callback, first],
            verbose=0,
        )
    second.on_train_end()
    assert "backup.lock" not in os.listdir(tmp_path)
    assert Backup(tmp_path).restore(model) == 3


def test_what_was_not_restored_is_not_overwritten(two_epochs, tmp_path):
    shutil.copytree(two_epochs[0], tmp_path, dirs_exist_ok=True)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    model, other = make_keras(), make_keras()
    restored = Backup(tmp_path)
    restored.restore(other)
    message = f"{tmp_path} holds a backup of 2 epochs .*restore.*remove.*anot"
    for backup in (
        Backup(tmp_path),
        # It knows the backup, but this model was not given it.
        restored,
    ):
        weights = model.get_weights()
        with pytest.raises(ValueError, match=message):
            model.fit(*data(1), callbacks=[backup], verbose=0)
        assert before == {p.name: p.read_bytes() for p in tmp_path.iterdir()}
        for mine, its in zip(model.get_weights(), weights, strict=True):
            np.testing.assert_array_equal(mine, its)
    # Another training went on meanwhile.
    train(make_keras(), tmp_path, epochs=3)
    with pytest.raises(ValueError, match="a backup of 3 epochs"):
        other.fit(*data(1), callbacks=[restored], verbose=0)
    # Nor is what cannot be restored.
    for path in tmp_path.glob("*.weights.h5"):
        flip(path)
    with pytest.raises(ValueError, match="(?s)3-.*is damaged.*Give another"):
        model.fit(*data(1), callbacks=[Backup(tmp_path)], verbose=0)


def test_each_way_on_from_a_backup(two_epochs, tmp_path):
    shutil.copytree(two_epochs[0], tmp_path, dirs_exist_ok=True)
    model = make_keras()
    backup = Backup(tmp_path)
    assert backup.restore(model) == 2
    options = dict(callbacks=[backup], verbose=0)
    model.fit(*data(0), initial_epoch=2, epochs=3, **options)
    # A metric that is not a number is one.
    spoil = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: logs.update(spoilt=float("nan"))
    )
    options["callbacks"].insert(0, spoil)
    model.fit(*data(0), initial_epoch=3, epochs=4, **options)
    model.fit(*data(0), initial_epoch=4, epochs=5, **options)
    backup.remove()
    # After that the folder is anybody's.
    model.fit(*data(0), initial_epoch=5, epochs=6, **options)
    assert kinds(tmp_path) == ["6-#.weights.h5", "backup.json"]
    Backup(tmp_path).remove()
    make_keras().fit(*data(0), callbacks=[Backup(tmp_path)], verbose=0)
    assert kinds(tmp_path) == ["1-#.weights.h5", "backup.json"]


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda file: None, TypeError, "folder=None of type NoneType"),
        (lambda file: 3, TypeError, "the path of a folder, .*folder=3"),
        (lambda file: "", ValueError, "'.' for the current one.*folder=''"),
        (lambda file: file, ValueError, "folder='.*file', and .*file is a fi"),
        (lambda file: file / "a" / "b", ValueError, "a/b', and .*/file is a"),
    ],
)
def test_what_is_no_folder(make, error, message, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(error, match=message):
        Backup(make(tmp_path / "file"))


def join_as(rank):
    """Makes this process one of two."""
    if keras.backend.backend() == "torch":
        import torch
        from torch.testing._internal.distributed.fake_pg import FakeStore

        torch.distributed.init_process_group(
            "fake", rank=rank, world_size=2, store=FakeStore()
        )
        return torch.distributed.destroy_process_group
    import jax

    joined = mock.patch.object(jax, "process_index", lambda: rank)
    joined.start()
    return joined.stop


@pytest.mark.only_on("torch", "jax")
def test_several_processes_share_a_folder(two_epochs, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(two_epochs[0], folder)
    backups = []
    for rank in (0, 1):
        leave = join_as(rank)
        try:
            backup = Backup(folder)
            backups.append(backup)
            model = make_keras()
            assert backup.restore(model) == 2
            backup.set_model(model)
            backup.on_train_begin()
        finally:
            leave()
    for rank in (0, 1, 1):
        leave = join_as(rank)
        try:
            backups[rank].on_epoch_end(2, {"rank": float(rank)})
            backups[rank].on_train_end()
            assert backups[rank].history()["rank"] == [rank]
            if rank:
                backups[rank].remove()
        finally:
            leave()
    assert kinds(folder) == [
        "2-#.weights.h5",
        "3-#.weights.h5",
        "backup.json",
        "backup.previous.json",
    ]
    record = json.loads((folder / "backup.json").read_text())["record"]
    assert record["logs"][2] == {"rank": 0.0}


@every_backend
def test_what_was_restored_goes_on_where_it_ended(tmp_path):
    train(make_forward_only(), tmp_path / "a", epochs=2)
    backup = Backup(tmp_path / "a")
    model = make_forward_only()
    backup.restore(model)
    start = int(model.optimizer.iterations)
    with pytest.raises(ValueError, match="2 epochs were restored .* epoch 0"):
        model.fit(
            *data(0),
            validation_data=data(1),
            epochs=3,
            verbose=0,
            callbacks=[backup],
        )
    assert int(model.optimizer.iterations) == start
    assert Backup(tmp_path / "a").restore(make_forward_only()) == 2


def test_weights_restored_without_their_optimizer_are_not_trained_on(tmp_path):
    train(make_keras(), tmp_path / "a", epochs=1)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(5)])
    backup = Backup(tmp_path / "a")
    assert backup.restore(model) == 1
    model.compile("adam", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="not restored to this model, comp"):
        model.fit(*data(0), epochs=2, initial_epoch=1, callbacks=[backup])
    first = backup.restore(model)
    fit = dict(initial_epoch=first, epochs=2, verbose=0, callbacks=[backup])
    model.fit(*data(0), **fit)
