"""Two processes of PyTorch train as one."""

import json
import pathlib

import pytest
import python_processes

SCRIPT = pathlib.Path(__file__).with_name("torch_processes.py")
pytestmark = pytest.mark.only_on("torch")


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What two processes of PyTorch found, in one program."""
    folder = tmp_path_factory.mktemp("processes")
    environment = {"GLOO_SOCKET_IFNAME": "lo"}
    done = python_processes.run([SCRIPT, folder], env=environment)
    assert done.returncode == 0, done.stderr[-5000:]
    found = json.loads((folder / "found.json").read_text())
    found["logs"] = [file.name for file in (folder / "logs/train").iterdir()]
    return found


def test_two_processes_train_as_one(found):
    """Each row was trained for 3 epochs, the last batch of one sample."""
    assert len(found["rows"]) == 7
    for name, distance in found["rows"].items():
        assert distance["ranks"] == 0, name
        assert distance["one"] < 1e-5, name


def test_two_processes_stay_alike(found):
    first, second = found["alike"]
    for name, (weights, history, warned) in first.items():
        assert [weights, history] == second[name][:2], name
        assert not warned
    assert [warned for *_, warned in second.values()] == [0, 0, 0, 2]


def test_a_bad_batch_of_one_process_is_trained_on_by_none(found):
    first, second = found["unsound"]
    assert first == second
    message, moved = first["label"]
    assert "Received: 77 (1 such labels)" in message
    assert moved == 0
    message, moved = first["sample"]
    assert "The loss of local layer 'local_0' became NaN" in message
    assert moved == 0


def test_processes_that_differ_are_refused(found):
    first, second = found["refused"]
    message = first["one refuses"]
    assert message.startswith("ValueError: Process 1 refused. ValueError: `x`")
    assert second["one refuses"] in message.replace(" Process 1 refused.", "")
    for name, words in {
        "labels": "process 1 has other data",
        "samples": "process 1 has other data",
        "batch of one": "A batch of 1 samples cannot be shared among 2",
        "units": "process 1 has other shapes of weights",
        "rate": "process 1 has other optimizer",
        "epochs": "process 1 has other epochs",
        "lengths": "process 1 has other data than process 0: ('3 batches'",
        "DDP": "Call `fit` of the model itself",
        "evaluate": "process 1 has other weights",
        "stages": "trained by 2 processes. The stages of a model are in one",
    }.items():
        assert words in first[name], name
        assert words in second[name], name


def test_a_stopped_job_goes_on_to_the_same_weights(found):
    first, second = found["resumed"]
    assert first == second
    (begun, *straight), (begun_again, *stopped) = first
    assert (begun, begun_again) == (0, 2)
    assert straight == stopped


def test_one_process_writes_for_tensorboard(found):
    assert len(found["logs"]) == 1


def test_a_process_that_dies_ends_the_others(found):
    message, seconds, epochs = found["died"]
    assert "Process 0 of 2 lost touch with another one" in message
    assert seconds < 60
    # What was backed up before is whole.
    assert epochs == 2
