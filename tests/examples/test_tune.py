"""The tuning example loses no trial, whoever is killed."""

import json
import pathlib
import signal
import socket
import time

import pytest
import python_processes

pytestmark = pytest.mark.only_on("torch")

pytest.importorskip("keras_tuner")
pytest.importorskip("matplotlib")
EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"
FLAGS = [
    *("--dataset", "digits", "--width-multiplier", "0.001"),
    *("--architectures", "mlp", "--methods", "projection"),
]


def start(output, *flags, **environment):
    return python_processes.Process(
        [EXAMPLES / "tune.py", *FLAGS, *flags, "--output", output],
        env=environment,
    )


def finish(process):
    done = process.wait()
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def wait_for_backup(output, process, worker):
    """Waits until a worker's trial has an epoch behind it; names the trial."""
    while process.returncode is None:
        time.sleep(0.02)
        path = output / "search" / "oracle.json"
        if path.exists():
            ongoing = json.loads(path.read_text())["ongoing_trials"]
            folder = output / "search" / f"trial_{ongoing.get(worker)}"
            if list(folder.glob("backup/*/backup.json")):
                return ongoing[worker]
    raise AssertionError(process.wait().stderr[-3000:])


def trials(output):
    results = json.loads((output / "trials.json").read_text())
    return {trial["trial"]: trial for trial in results["trials"]}


def test_worker_killed_within_a_trial_loses_none(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def role(name):
        return start(
            tmp_path,
            *("--trials", "2", "--epochs", "5", "--worker-timeout", "8"),
            KERASTUNER_TUNER_ID=name,
            KERASTUNER_ORACLE_IP="127.0.0.1",
            KERASTUNER_ORACLE_PORT=str(port),
        )

    chief, killed, other = map(role, ("chief", "worker0", "worker1"))
    try:
        lost = wait_for_backup(tmp_path, killed, "worker0")
        killed.kill()
        log = finish(chief)
        worker_log = finish(other)
    finally:
        for process in (chief, killed, other):
            process.kill()
    results = trials(tmp_path)
    assert set(results) == {"0", "1"}
    assert {t["status"] for t in results.values()} == {"COMPLETED"}
    # The other worker did what the killed one had begun.
    assert worker_log.count("Trial resumed after epoch") == 1
    state = json.loads((tmp_path / "search" / "oracle.json").read_text())
    assert state["end_order"].count(lost) == 1
    assert len(state["end_order"]) == 2
    assert not state["ongoing_trials"]
    assert f"{results[lost]['val_accuracy']:.2%}" in log
    assert not list(tmp_path.rglob("backup"))
    assert (tmp_path / "trials.png").stat().st_size > 5000


def test_interrupted_search_shows_what_it_found(
    tmp_path, monkeypatch, run_example, capsys
):
    before = signal.getsignal(signal.SIGTERM)
    done = []

    def fit(self, hp, model, *args, **kwargs):
        if done:
            signal.raise_signal(signal.SIGTERM)
        done.append(hp)
        return {"val_accuracy": 0.8125}

    monkeypatch.setattr(keras_tuner_model(), "fit", fit)
    try:
        with pytest.raises(SystemExit, match="The same command goes on"):
            run_example("tune", *FLAGS, "--output", tmp_path)
    finally:
        signal.signal(signal.SIGTERM, before)
    table = capsys.readouterr().out
    assert "81.25%" in table
    assert "RUNNING" in table
    results = trials(tmp_path)
    assert results["00"]["status"] == "COMPLETED"
    assert results["00"]["hyperparameters"] == done[0].values
    with pytest.raises(SystemExit, match="seed: saved 0, given 5"):
        run_example("tune", *FLAGS, "--output", tmp_path, "--seed", "5")
    with pytest.raises(SystemExit, match="epochs: saved 3, given 4"):
        run_example("tune", *FLAGS, "--output", tmp_path, "--epochs", "4")


def keras_tuner_model():
    import keras_ff

    return keras_ff.tuners.ForwardOnlyHyperModel
