"""The private names of KerasTuner that the package needs, and its patches."""

import ast
import inspect
import pathlib
import tomllib

import pytest

keras_tuner = pytest.importorskip("keras_tuner")

from keras_tuner.src import protos  # noqa: E402
from keras_tuner.src import utils  # noqa: E402
from keras_tuner.src.distribute import utils as distribution  # noqa: E402
from keras_tuner.src.distribute.oracle_chief import OracleServicer  # noqa: E402
from keras_tuner.src.distribute.oracle_client import OracleClient  # noqa: E402
from keras_tuner.src.engine import conditions  # noqa: E402
from keras_tuner.src.engine import oracle  # noqa: E402
from keras_tuner.src.engine import stateful  # noqa: E402
from keras_tuner.src.engine import tuner_utils  # noqa: E402
from keras_tuner.src.engine.base_tuner import BaseTuner  # noqa: E402

import keras_ff  # noqa: E402
from keras_ff.tuners import ReliableSearch  # noqa: E402
from keras_ff.tuners.reliable import keras_tuner_private  # noqa: E402

pytestmark = pytest.mark.only_on("torch")

ROOT = pathlib.Path(keras_ff.__file__).parents[1]
ORACLE = keras_tuner.oracles.RandomSearchOracle("val_loss")
BEST = tuner_utils.SaveBestEpoch(ORACLE.objective, "x.weights.h5")

NAMES = [
    (utils, "save_json", "files that are whole"),
    (utils.backend.io, "File", "files that are not on a disk"),
    (tuner_utils, "SaveBestEpoch", "best weights that are whole"),
    (BEST, "_save_model", "best weights that are whole"),
    (BEST, "filepath", "best weights that are whole"),
    (BEST, "best_value", "the best epoch before an interruption"),
    (BEST, "objective", "the best epoch before an interruption"),
    (tuner_utils, "TunerCallback", "finding a trial's folder"),
    (distribution, "is_chief_oracle", "roles"),
    (distribution, "has_chief_oracle", "roles"),
    (protos, "get_service", "messages"),
    (protos.get_service_grpc(), "OracleStub", "a worker's calls"),
    (
        protos.get_service_grpc(),
        "add_OracleServicer_to_server",
        "the chief's answers",
    ),
    (ORACLE, "_retry_queue", "running unfinished trials again"),
    (ORACLE, "_get_trial_dir", "why a trial failed"),
    (ORACLE, "ongoing_trials", "handing trials over"),
    (ORACLE, "start_order", "trials that nobody got"),
    (ORACLE, "tuner_ids", "sending workers home"),
    (BaseTuner, "_populate_initial_space", "describing the search"),
    (BaseTuner, "_get_tuner_fname", "one search, whoever runs it"),
]


@pytest.mark.parametrize("owner, name, serves", NAMES)
def test_keras_tuner_has(owner, name, serves):
    assert hasattr(owner, name), (
        f"KerasTuner {keras_tuner.__version__} has no {name}: {serves}. Mend "
        "keras_ff/tuners/reliable/keras_tuner_private.py."
    )


def test_keras_tuner_asks_by_these_names():
    assert "utils.save_json" in inspect.getsource(stateful.Stateful.save)
    run_trial = inspect.getsource(keras_tuner.Tuner.run_trial)
    assert "tuner_utils.SaveBestEpoch(" in run_trial
    assert "self.stub." in inspect.getsource(OracleClient)
    assert "self._retry_queue.pop()" in inspect.getsource(oracle)
    made = inspect.getsource(BaseTuner.__init__)
    for name in ("_populate_initial_space", "_get_tuner_fname", "reload"):
        assert f"self.{name}()" in made
    calls = {n for n in vars(OracleServicer) if n[0].isupper()}
    assert {"CreateTrial", "UpdateTrial", "EndTrial"} <= calls


def test_names_stand_in_one_file():
    for path in (ROOT / "keras_ff").rglob("*.py"):
        if path.name == "keras_tuner_private.py":
            continue
        tree = ast.parse(path.read_text())
        modules = [
            name
            for node in ast.walk(tree)
            if isinstance(node, (ast.Import, ast.ImportFrom))
            for name in [
                getattr(node, "module", None) or "",
                *(alias.name for alias in node.names),
            ]
        ]
        assert not [m for m in modules if m.startswith("keras_tuner.src")]
        names = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
        private = {n for owner, n, _ in NAMES if n.startswith("_")}
        assert not names & private, path


def test_another_version_is_refused_by_name():
    check = keras_tuner_private.check_version
    check(keras_tuner.__version__)
    check("1.4.9")
    for version in ("1.4.7", "1.5", "1.5.0rc1", "2.0"):
        with pytest.raises(
            ImportError,
            match=f'KerasTuner {version}. .*"keras-tuner>=1.4.8,<1.5"',
        ):
            check(version)
    with open(ROOT / "pyproject.toml", "rb") as file:
        extras = tomllib.load(file)["project"]["optional-dependencies"]
    assert f"keras-tuner{keras_tuner_private.BOUNDS}" in extras["tune"]


def state():
    return (
        utils.save_json,
        tuner_utils.SaveBestEpoch,
        hasattr(conditions, "print"),
    )


UNPATCHED = state()


@pytest.mark.parametrize("error", [None, KeyboardInterrupt])
def test_nothing_is_patched_before_and_after_a_search(error, tmp_path):
    seen = []

    class Search(ReliableSearch, keras_tuner.RandomSearch):
        def run_trial(self, trial, **kwargs):
            seen.append(state())
            if not tuner.oracle.end_order:
                # A search in a search, which ends first.
                inner.search(verbose=0)
                seen.append(state())
            if error is not None:
                raise error
            return 1.0

    class Inner(ReliableSearch, keras_tuner.RandomSearch):
        def run_trial(self, trial, **kwargs):
            return 1.0

    def make(kind, folder):
        return kind(
            lambda hp: hp.Float("x", 0.0, 1.0),
            max_trials=2,
            directory=tmp_path / folder,
        )

    tuner, inner = make(Search, "outer"), make(Inner, "inner")
    assert state() == UNPATCHED
    try:
        tuner.search(verbose=0)
    except KeyboardInterrupt:
        assert error is not None
    assert state() == UNPATCHED == (*UNPATCHED[:2], False)
    assert len(seen) == (3 if error is None else 2)
    assert all(
        a is not b for patched in seen for a, b in zip(patched, UNPATCHED)
    )
