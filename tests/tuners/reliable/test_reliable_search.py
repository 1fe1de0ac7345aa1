"""No trial is lost or run twice, whatever dies; no Keras model is needed."""

import errno
import json
import os
import socket
import threading
import time

import pytest

keras_tuner = pytest.importorskip("keras_tuner")

from reliable_searches import Call  # noqa: E402
from reliable_searches import Search  # noqa: E402
from reliable_searches import ask  # noqa: E402
from reliable_searches import build  # noqa: E402
from reliable_searches import end  # noqa: E402
from reliable_searches import make  # noqa: E402
from reliable_searches import statuses  # noqa: E402

from keras_ff import files  # noqa: E402
from keras_ff import folder_lock  # noqa: E402
from keras_ff.tuners import ReliableSearch  # noqa: E402
from keras_ff.tuners.reliable.chief import Chief  # noqa: E402

pytestmark = pytest.mark.only_on("torch")


class Killed(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


@pytest.mark.parametrize("in_file", [False, True])
def test_killed_at_any_file_it_writes(in_file, tmp_path, monkeypatch):
    calls = fatal = 0

    def replace(source, target):
        nonlocal calls
        calls += 1
        if calls == fatal and in_file:
            raise Killed
        os.rename(source, target)
        if calls == fatal:
            raise Killed

    monkeypatch.setattr(files.os, "replace", replace)
    expected = None
    for fatal in [0, *range(1, 100)]:
        folder = tmp_path / str(fatal)
        calls = 0
        runs = []

        def search():
            tuner = make(folder)
            tuner.runs = runs
            tuner.search(verbose=0)
            return tuner

        try:
            tuner = search()
            if fatal:
                break  # It writes no more files than this.
        except Killed:
            finished = [
                state["trial_id"]
                for path in (folder / "p").glob("trial_*/trial.json")
                if (state := json.loads(path.read_text()))["status"]
                == "COMPLETED"
            ]
            runs.clear()
            tuner = search()
            assert not set(runs) & set(finished)
            assert sorted({*runs, *finished}) == ["0", "1", "2"]
            assert len(runs) + len(finished) == 3
        assert statuses(tuner) == ["COMPLETED"] * 3
        values = [
            t.hyperparameters.values for t in tuner.oracle.trials.values()
        ]
        expected = expected or values
        assert len(expected) == 3
    assert fatal > 10


def test_search_goes_on_with_more_trials(tmp_path):
    make(tmp_path, max_trials=2).search(verbose=0)
    tuner = make(tmp_path, max_trials=3)
    tuner.runs = []
    tuner.search(verbose=0)
    assert tuner.runs == ["2"]
    assert statuses(tuner) == ["COMPLETED"] * 3


def wider(hp):
    build(hp)
    hp.Float("momentum", 0.0, 1.0)


def another_range(hp):
    hp.Choice("kind", ["a", "b"])
    hp.Float("rate", 0.0, 0.5)
    hp.Int("depth", 1, 9, parent_name="kind", parent_values=["b"])


class Hyperband(ReliableSearch, keras_tuner.Hyperband):
    pass


@pytest.mark.parametrize(
    "options, message",
    [
        (
            dict(hypermodel=wider),
            "hyperparameter momentum: saved None, given {'type': 'Float'",
        ),
        (
            dict(hypermodel=another_range),
            "hyperparameter rate: saved .*'max_value': 1.0.* given "
            ".*'max_value': 0.5",
        ),
        (
            dict(objective=keras_tuner.Objective("val_loss", "min")),
            "objective: saved .*val_accuracy.* given .*val_loss",
        ),
        (
            dict(executions_per_trial=2),
            "executions_per_trial: saved 1, given 2",
        ),
        (
            dict(kind=Hyperband, max_epochs=4),
            "oracle: saved 'RandomSearchOracle', given 'HyperbandOracle'\n"
            "(.|\n)*max_epochs: saved None, given 4",
        ),
    ],
)
def test_folder_of_another_search_is_refused(options, message, tmp_path):
    make(tmp_path).search(verbose=0)
    files = {p: p.read_text() for p in tmp_path.rglob("*.json")}
    with pytest.raises(
        ValueError, match="p, a search's, holds something with other"
    ) as error:
        make(tmp_path, **options)
    assert error.match(message)
    assert files == {p: p.read_text() for p in tmp_path.rglob("*.json")}


def test_folder_of_a_search_without_settings_is_refused(tmp_path):
    class Plain(keras_tuner.RandomSearch):
        run_trial = Search.run_trial
        runs = None

    tuner = Plain(
        build,
        objective="val_accuracy",
        directory=tmp_path,
        project_name="p",
        max_trials=1,
    )
    tuner.search(verbose=0)
    with pytest.raises(ValueError, match="p holds a search of unknown"):
        make(tmp_path)
    make(tmp_path, overwrite=True).search(verbose=0)


def owns(chief, worker, trial_id):
    answer = json.loads(chief.hear(b"", Call(worker)))
    return answer["trial"] == trial_id


def test_lost_workers_trial_goes_to_the_next(tmp_path, clock):
    tuner = make(tmp_path, max_trials=2)
    tuner.oracle.verbose = 0
    chief = Chief(tuner.oracle, {}, worker_timeout=10)
    lost, other = ask(chief, "worker0"), ask(chief, "worker1")
    end(chief, "worker1", other)
    # None is left, but the first worker may yet be lost.
    assert ask(chief, "worker1").status == "IDLE"
    clock.now = 9.0
    chief.hear(b"", Call("worker0"))
    clock.now = 18.0
    assert ask(chief, "worker1").status == "IDLE"
    chief.warn_of_lost_workers()
    clock.now = 20.0
    with pytest.warns(
        UserWarning,
        match="Worker 'worker0' was not heard of for 10 s. The next worker "
        "that asks gets its trial 0",
    ):
        chief.warn_of_lost_workers()
    chief.warn_of_lost_workers()
    again = ask(chief, "worker1")
    assert (again.trial_id, again.status) == (lost.trial_id, "RUNNING")
    assert again.hyperparameters.values == lost.hyperparameters.values
    state = json.loads((tmp_path / "p" / "oracle.json").read_text())
    assert state["ongoing_trials"] == {"worker1": "0"}
    # It was slow, not dead: what it reports changes nothing.
    assert not owns(chief, "worker0", "0")
    assert owns(chief, "worker1", "0")
    end(chief, "worker0", lost, "INVALID")
    end(chief, "worker0", lost, "COMPLETED")
    assert tuner.oracle.get_trial("0").status == "RUNNING"
    assert not tuner.oracle.get_trial("0").metrics.exists("val_accuracy")
    end(chief, "worker1", again)
    end(chief, "worker0", lost, "INVALID")
    assert statuses(tuner) == ["COMPLETED"] * 2
    assert not chief.is_over()
    assert ask(chief, "worker1").status == "STOPPED"
    assert chief.is_over()


def test_restarted_worker_gets_its_trial_again(tmp_path, clock):
    tuner = make(tmp_path)
    tuner.oracle.verbose = 0
    chief = Chief(tuner.oracle, {}, worker_timeout=10)
    trial = ask(chief, "worker0")
    assert ask(chief, "worker1").trial_id != trial.trial_id
    assert ask(chief, "worker0").trial_id == trial.trial_id


def test_idle_worker_that_dies_keeps_nobody_waiting(tmp_path, clock):
    tuner = make(tmp_path, max_trials=1)
    tuner.oracle.verbose = 0
    chief = Chief(tuner.oracle, {}, worker_timeout=10)
    trial = ask(chief, "worker0")
    assert ask(chief, "worker1").status == "IDLE"
    end(chief, "worker0", trial)
    assert ask(chief, "worker0").status == "STOPPED"
    assert not chief.is_over()
    clock.now = 11.0
    assert chief.is_over()


def test_restarted_chief_leaves_trials_to_their_workers(tmp_path, clock, role):
    def start():
        tuner = make(tmp_path)
        tuner.save()
        tuner.oracle.verbose = 0
        return tuner, Chief(tuner.oracle, {}, worker_timeout=10)

    role("chief")
    _, chief = start()
    end(chief, "worker0", ask(chief, "worker0"))
    running = ask(chief, "worker1")
    tuner, chief = start()
    assert statuses(tuner) == ["COMPLETED", "RUNNING"]
    other = ask(chief, "worker0")
    assert other.trial_id == "2"
    end(chief, "worker1", running)
    end(chief, "worker0", other)
    assert statuses(tuner) == ["COMPLETED"] * 3


def test_chief_stops_at_too_many_failures_and_says_why(tmp_path, clock, role):
    role("chief")
    tuner = make(tmp_path, max_trials=9, max_consecutive_failed_trials=2)
    tuner.save()
    tuner.oracle.verbose = 0
    chief = Chief(tuner.oracle, {}, worker_timeout=10)
    role("worker0")
    worker = make(tmp_path)
    worker.oracle.end_trial = lambda t: end(chief, "worker0", t, "FAILED")
    # It searches.
    worker._chief = object()
    for number in range(2):
        trial = ask(chief, "worker0")
        trial.message = f"Traceback\nValueError: failure {number}"
        worker.on_trial_end(trial)
    assert tuner.oracle.get_trial("0").message.endswith("failure 0")
    assert ask(chief, "worker0").status == "STOPPED"
    assert chief.is_over()
    with pytest.raises(RuntimeError, match="limit of 2(.|\n)*failure 1"):
        chief.serve()


def test_worker_without_a_chief_gives_up(tmp_path, role):
    address = role("worker0")
    tuner = make(tmp_path, chief_timeout=0.3)
    start = time.monotonic()
    with pytest.raises(
        RuntimeError,
        match=f"chief at {address} did not answer within 0.3 s. .*"
        "KERASTUNER_ORACLE_PORT",
    ):
        tuner.search(verbose=0)
    assert time.monotonic() - start < 5


def test_worker_whose_chief_hangs_gives_up(tmp_path, role):
    address = role("worker0")
    ip, port = address.split(":")
    with socket.create_server((ip, int(port))):
        tuner = make(tmp_path, chief_timeout=0.3)
        with pytest.raises(RuntimeError, match=f"{address} did not answer"):
            tuner.search(verbose=0)


def test_chief_and_workers_over_loopback(tmp_path, role, capfd):
    address = role("chief")
    chief = make(tmp_path / "shared", max_trials=4, worker_timeout=0.6)
    chief.save()
    chief.oracle.verbose = 0
    server = Chief(chief.oracle, chief._settings, worker_timeout=0.6)
    thread = threading.Thread(target=server.serve)
    thread.start()

    role("stranger")
    stranger = make(tmp_path / "another", hypermodel=wider, chief_timeout=20)
    with pytest.raises(
        ValueError,
        match=f"{address}, .* with other settings(.|\n)*momentum",
    ):
        stranger.search(verbose=0)

    role("worker0")
    worker = make(tmp_path / "shared", worker_timeout=0.6, chief_timeout=20)
    worker.runs = []
    run = worker.run_trial

    def slow(trial):
        assert not worker._chief.gave_away(trial.trial_id)
        assert worker._chief.gave_away("another")
        # Longer than a worker may be silent.
        time.sleep(0.8 if trial.trial_id == "0" else 0)
        return run(trial)

    worker.run_trial = slow
    capfd.readouterr()
    worker.search()
    thread.join(timeout=20)
    assert not thread.is_alive()
    assert worker.runs == ["0", "1", "2", "3"]
    assert statuses(chief) == ["COMPLETED"] * 4
    scores = [trial.score for trial in chief.oracle.trials.values()]
    rates = [
        trial.hyperparameters.get("rate")
        for trial in chief.oracle.trials.values()
    ]
    assert scores == pytest.approx(rates)
    # KerasTuner would print every condition it sends.
    assert capfd.readouterr().out == ""


def test_second_search_in_a_folder_is_told_at_once(tmp_path, monkeypatch):
    tuner, other = make(tmp_path), make(tmp_path)
    run = tuner.run_trial

    def run_trial(trial, **kwargs):
        # As another process would see it.
        with monkeypatch.context() as patch:
            patch.setattr(folder_lock, "_HELD", {})
            patch.setattr(folder_lock.fcntl, "lockf", in_use)
            for attempt in (
                lambda: other.search(verbose=0),
                lambda: make(tmp_path, overwrite=True),
            ):
                with pytest.raises(ValueError, match="p is in use by process"):
                    attempt()
        return run(trial)

    def in_use(file, flags):
        raise BlockingIOError(errno.EAGAIN, "in use")

    tuner.run_trial = run_trial
    tuner.search(verbose=0)
    assert statuses(tuner) == ["COMPLETED"] * 3
    assert not (tmp_path / "p" / "search.lock").exists()


def test_overwriting_removes_searches_only(tmp_path, role):
    make(tmp_path).search(verbose=0)
    (tmp_path / "p" / "thesis.pdf").write_text("mine")
    with pytest.raises(ValueError, match=r"what .*\['thesis.pdf'\].*Give"):
        make(tmp_path, overwrite=True)
    assert (tmp_path / "p" / "thesis.pdf").read_text() == "mine"
    (tmp_path / "p" / "thesis.pdf").unlink()
    # A worker leaves it to the chief.
    role("worker0")
    make(tmp_path, hypermodel=wider, overwrite=True)
    assert (tmp_path / "p" / "trial_0").exists()
    role("chief")
    make(tmp_path, hypermodel=wider, overwrite=True)
    assert not (tmp_path / "p" / "trial_0").exists()


@pytest.mark.parametrize("name", ["oracle", "tuner", "trial_1/trial"])
def test_damaged_search_is_named_with_advice(name, tmp_path):
    make(tmp_path).search(verbose=0)
    path = tmp_path / "p" / f"{name}.json"
    path.write_text(path.read_text()[:20])
    with pytest.raises(ValueError, match=f"{name}.json is damaged.*Give anot"):
        make(tmp_path)
