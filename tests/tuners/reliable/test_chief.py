"""Whom the chief lets in."""

import socket
import threading

import pytest

keras_tuner = pytest.importorskip("keras_tuner")

import grpc  # noqa: E402
from reliable_searches import Call  # noqa: E402
from reliable_searches import Refused  # noqa: E402
from reliable_searches import ask  # noqa: E402
from reliable_searches import end  # noqa: E402
from reliable_searches import make  # noqa: E402
from reliable_searches import statuses  # noqa: E402

from keras_ff.tuners.reliable import address  # noqa: E402
from keras_ff.tuners.reliable.chief import SECRET  # noqa: E402
from keras_ff.tuners.reliable.chief import WORKER  # noqa: E402
from keras_ff.tuners.reliable.chief import Chief  # noqa: E402
from keras_ff.tuners.reliable.keras_tuner_private import message  # noqa: E402
from keras_ff.tuners.reliable.keras_tuner_private import stub  # noqa: E402

pytestmark = pytest.mark.only_on("torch")


@pytest.mark.parametrize(
    "ip, open_to_others",
    [
        ("127.0.0.1", False),
        ("127.1.2.3", False),
        ("localhost", False),
        ("[::1]", False),
        ("0.0.0.0", True),
        ("[::]", True),
        ("10.0.0.1", True),
        ("unknown.invalid", True),
    ],
)
@pytest.mark.parametrize("secret", [None, "", "geheim"])
def test_secret_is_needed_where_others_are(
    ip, open_to_others, secret, monkeypatch
):
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", ip)
    monkeypatch.delenv(address.SECRET, raising=False)
    if secret is not None:
        monkeypatch.setenv(address.SECRET, secret)
    if open_to_others and not secret:
        with pytest.raises(ValueError, match="KERAS_FF_CHIEF_SECRET .*127.0"):
            address.shared_secret()
    else:
        expected = b"geheim" if secret else None
        assert address.shared_secret() == expected


@pytest.mark.parametrize("name", ["chief", "worker0"])
def test_search_that_others_can_reach_does_not_begin(name, role, tmp_path):
    role(name, ip="0.0.0.0")
    tuner = make(tmp_path)
    with pytest.raises(ValueError, match="variable KERAS_FF_CHIEF_SECRET"):
        tuner.search(verbose=0)


def test_strangers_are_turned_away(tmp_path, role, monkeypatch):
    place = role("chief")
    monkeypatch.setenv(address.SECRET, "grün")
    tuner = make(tmp_path / "chief", max_trials=2, worker_timeout=5)
    thread = threading.Thread(target=tuner.search, kwargs=dict(verbose=0))
    thread.start()
    try:
        # Whatever they call, with or without a name.
        with grpc.insecure_channel(place) as channel:
            calls = stub(channel)
            for metadata in (
                [],
                [(WORKER, b"worker0")],
                [(WORKER, b"worker0"), (SECRET, b"gr")],
                [(WORKER, b"worker0"), (SECRET, b"")],
            ):
                for call, request in (
                    (calls.GetSpace, message("GetSpaceRequest")),
                    (
                        calls.CreateTrial,
                        message("CreateTrialRequest", tuner_id="worker0"),
                    ),
                    (channel.unary_unary("/keras_ff.Chief/Hear"), b""),
                ):
                    with pytest.raises(grpc.RpcError) as error:
                        call(
                            request,
                            metadata=metadata,
                            wait_for_ready=True,
                            timeout=20,
                        )
                    assert error.value.code() == grpc.StatusCode.UNAUTHENTICATED
        role("worker0")
        for wrong in ("grun", ""):
            monkeypatch.setenv(address.SECRET, wrong)
            with pytest.raises(
                RuntimeError,
                match=f"{place} refused this worker: .* KERAS_FF_CHIEF_SECRET",
            ):
                make(tmp_path / "w", chief_timeout=20).search(verbose=0)
        assert not tuner.oracle.trials
        monkeypatch.setenv(address.SECRET, "grün")
        make(tmp_path / "w", chief_timeout=20).search(verbose=0)
    finally:
        thread.join(timeout=20)
    assert not thread.is_alive()
    assert statuses(tuner) == ["COMPLETED"] * 2


def test_port_in_use(tmp_path, role):
    ip, port = role("chief").split(":")
    with socket.create_server((ip, int(port))):
        with pytest.raises(RuntimeError, match=f"{port}. End .* a free port"):
            make(tmp_path).search(verbose=0)


def test_bounded_list_of_workers(tmp_path, clock):
    tuner = make(tmp_path, max_trials=9)
    tuner.oracle.verbose = 0
    chief = Chief(tuner.oracle, {}, worker_timeout=10, max_workers=2)
    busy = ask(chief, "busy")
    end(chief, "idle", ask(chief, "idle"))
    for _ in range(2):
        with pytest.raises(Refused, match="EXHAUSTED: It has 2 workers"):
            ask(chief, "third")
    assert tuner.oracle.tuner_ids == {"busy", "idle"}
    # A lost one makes room, unless its trial is to be handed over.
    clock.now = 11.0
    assert ask(chief, "third").trial_id == busy.trial_id
    assert tuner.oracle.tuner_ids == {"third"}
    for name in (None, "", "x" * 201):
        with pytest.raises(Refused, match="INVALID_ARGUMENT: .*ReliableSear"):
            chief.hear(b"", Call(name))


class HandsOver:
    """A chief that gives a worker's first trial to an heir."""

    def __init__(self, oracle):
        self._oracle = oracle

    def gave_away(self, trial_id):
        if trial_id == "0":
            self._oracle.ongoing_trials.clear()
        return trial_id == "0"


def test_worker_that_was_given_up_leaves_its_trial(tmp_path, capfd):
    """It was slow, not dead: it notices, and goes on with another trial."""
    worker = make(tmp_path, max_trials=2)
    worker._chief = HandsOver(worker.oracle)

    def run_trial(trial, **kwargs):
        worker.on_epoch_end(trial, None, 0, {})
        return {"val_accuracy": 0.25}

    worker.run_trial = run_trial
    worker.search(verbose=0)
    # The first one is its heir's to end.
    assert worker.oracle.end_order == ["1"]
    assert "gave trial 0 to another worker" in capfd.readouterr().err
    assert not list(tmp_path.rglob("error.txt"))
