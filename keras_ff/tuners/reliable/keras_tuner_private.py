"""What this package needs of KerasTuner that it does not promise to keep.

Each name is used here only, so that another KerasTuner is one file's matter;
`tests/tuners/reliable/test_keras_tuner_private.py` names them.
`pyproject.toml` has the same bounds as this file.
"""

import contextlib
import json
import os
import secrets
import threading
from typing import TYPE_CHECKING

import keras_tuner
from keras_tuner.errors import FatalError as FatalError
from keras_tuner.errors import FatalRuntimeError as FatalRuntimeError
from keras_tuner.errors import FatalTypeError as FatalTypeError
from keras_tuner.errors import FatalValueError as FatalValueError
from packaging.specifiers import SpecifierSet

BOUNDS = ">=1.4.8,<1.5"


def check_version(version):
    """Refuses a KerasTuner whose private names are not known."""
    if not SpecifierSet(BOUNDS).contains(version, prereleases=True):
        raise ImportError(
            f"`keras_ff.tuners` needs keras-tuner{BOUNDS}. Received: "
            f"KerasTuner {version}. Install it with: "
            f'pip install "keras-tuner{BOUNDS}"'
        )


# Before names are imported that another one may not have.
check_version(keras_tuner.__version__)

from keras_tuner.src import protos
from keras_tuner.src import utils
from keras_tuner.src.distribute import utils as distribution
from keras_tuner.src.distribute.oracle_chief import OracleServicer
from keras_tuner.src.engine import conditions
from keras_tuner.src.engine import tuner_utils
from keras_tuner.src.engine.trial import Trial as Trial
from keras_tuner.src.engine.trial import TrialStatus as TrialStatus

from keras_ff import files
from keras_ff.callbacks.weights_file import save_weights

# What the methods of the chief are of.
Servicer = OracleServicer
_patching = threading.Lock()
_searches = 0
_save_json = utils.save_json
_SaveBestEpoch = tuner_utils.SaveBestEpoch


@contextlib.contextmanager
def mended():
    """Mends KerasTuner while searches run.

    It truncates its files before it writes: killed meanwhile, or with the
    disk full, it cannot read its own search any more. And it prints every
    condition that it sends to or from a chief.
    """
    global _searches
    with _patching:
        _searches += 1
        if _searches == 1:
            utils.save_json = save_json
            tuner_utils.SaveBestEpoch = _SaveBestEpochWhole
            conditions.print = lambda *args: None
    try:
        yield
    finally:
        with _patching:
            _searches -= 1
            if not _searches:
                utils.save_json = _save_json
                tuner_utils.SaveBestEpoch = _SaveBestEpoch
                del conditions.print


def save_json(path, obj):
    """Writes a file that is whole at any moment, if it is on a disk."""
    text = json.dumps(obj)
    if "://" in str(path):
        with utils.backend.io.File(path, "w") as file:
            file.write(text)
    else:
        files.write_whole(path, text)
    return text


@contextlib.contextmanager
def fatal_if_unwritten():
    """A full disk ends the search, not the trial, which can go on later."""
    try:
        yield
    except OSError as error:
        raise FatalRuntimeError(str(error)) from error


class _SaveBestEpochWhole(_SaveBestEpoch):
    """Saves the best epoch as KerasTuner does, but never in place."""

    def _save_model(self):
        part = f"{self.filepath}.{secrets.token_hex(8)}.weights.h5"
        with fatal_if_unwritten():
            save_weights(self.model, part)
            os.replace(part, self.filepath)


def trial_of_callbacks(callbacks):
    """What a tuner's callbacks belong to.

    Returns:
        The tuner, its trial and the callback that saves the best epoch, with
        `objective` and `best_value`; `None` where no tuner is at work.
    """

    def first(kind):
        return next((c for c in callbacks if isinstance(c, kind)), None)

    tuning = first(tuner_utils.TunerCallback)
    if tuning is None:
        return None
    return tuning.tuner, tuning.trial, first(_SaveBestEpoch)


def is_chief():
    return distribution.is_chief_oracle()


def is_worker():
    return distribution.has_chief_oracle() and not is_chief()


def message(name, **fields):
    """A message of KerasTuner's protocol."""
    return getattr(protos.get_service(), name)(**fields)


def add_to_server(servicer, server):
    protos.get_service_grpc().add_OracleServicer_to_server(servicer, server)


def stub(channel):
    """The calls that a chief answers."""
    return protos.get_service_grpc().OracleStub(channel)


def redirect(client, calls):
    """Lets a worker's `OracleClient` call something else."""
    client.stub = calls


def queue_again(oracle, trial_ids):
    """Lets trials run again, in this order, and no others."""
    # It takes the last.
    oracle._retry_queue = list(reversed(trial_ids))


def trial_folder(oracle, trial_id):
    return oracle._get_trial_dir(trial_id)


if TYPE_CHECKING:
    # What a mixin for tuners finds beside its own.
    TunerMixin = keras_tuner.Tuner
else:
    TunerMixin = object


class Hooks(TunerMixin):
    """What KerasTuner asks a tuner while it is made, by names of ours.

    A base class for a mixin in front of a tuner's class.
    """

    def explore_space(self) -> None:
        super()._populate_initial_space()

    def _populate_initial_space(self):
        self.begin()

    def _get_tuner_fname(self):
        return self.settings_path()
