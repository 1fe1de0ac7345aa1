"""Several devices or processes train as one."""

import json
import pathlib
import socket

import keras
import pytest
import python_processes

SCRIPT = pathlib.Path(__file__).parent / "distributed_training.py"
JAX = keras.backend.backend() == "jax"


def run(folder, processes=1):
    """What programs found that make their devices or processes themselves."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    started = [
        python_processes.Process(
            [SCRIPT, folder] + ([port, rank] if processes > 1 else [])
        )
        for rank in range(processes)
    ]
    try:
        said = [process.wait(600).stderr for process in started]
    finally:
        for process in started:
            process.kill()
    files = [folder / f"{rank}.json" for rank in range(processes)]
    assert all(file.exists() for file in files), [x[-3000:] for x in said]
    return [json.loads(file.read_text()) for file in files]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("devices")


@pytest.fixture(scope="module")
def found(folder):
    """What virtual devices found, in one program."""
    if keras.backend.backend() == "torch":
        pytest.skip("PyTorch has one device of the CPU")
    (found,) = run(folder)
    return found


@pytest.fixture(scope="module")
def processes(folder, found):
    """What two processes of JAX found, beside one device of before."""
    if not JAX:
        pytest.skip("Processes of JAX")
    folder = folder / "processes"
    folder.mkdir()
    both = run(folder, 2)
    both[0]["logs"] = len(list((folder / "straight_logs/train").iterdir()))
    return both


def test_several_devices_train_as_one(found):
    """Clipped layers, weighted samples, a last batch of one sample.

    On TensorFlow convolutions with loss scaling, too.
    """
    for name, distance in found["several"].items():
        assert distance < 1e-5, name


def test_a_batch_that_is_not_sound_for_one_device_is_for_none(found):
    assert found["moved"] == 0
    assert "Received: 77 (2 such labels)" in found["message"]


@pytest.mark.only_on("tensorflow")
def test_a_stopped_job_goes_on_to_the_same_weights_on_several_devices(found):
    assert found["resumed"] == 0


@pytest.mark.only_on("jax")
def test_sharded_weights_train_as_whole_ones_and_are_saved(found):
    for name, distance in found["sharded"].items():
        assert distance < 1e-5, name
    assert found["saved"] == 0


@pytest.mark.only_on("jax")
def test_no_layer_waits_forward_for_gradients_of_the_last(found):
    """Every layer's gradients travel by themselves, and metrics once."""
    number, waits = found["all-reduces"]
    assert number <= 6 + 2
    assert waits == 0


@pytest.mark.only_on("jax")
def test_layers_in_stages_train_as_on_one_device(found):
    """On four devices; PyTorch's are in `tests/distribution`."""
    for name, distance in found["stages"].items():
        assert distance < 1e-5, name


@pytest.mark.only_on("tensorflow")
def test_strategies_that_cannot_train_local_layers_are_named(found):
    refused = found["refused"]
    assert set(refused) == {
        "ParameterServerStrategy",
        "MultiWorkerMirroredStrategy",
    }
    for name, message in refused.items():
        assert f"scope of a {name}" in message and "JAX" in message


@pytest.mark.only_on("tensorflow")
def test_a_gradient_that_overflows_on_one_device_is_left_out_on_all(found):
    """CAW-Conv on four devices; in each of three epochs one batch of three."""
    assert found["scaled"] == [2**15 / 2**3, 6]
    assert {"float16", "loss scale", "steps"} <= set(found["several"])


def test_two_processes_of_jax_train_as_one(processes):
    """On two devices each; whole weights and sharded ones."""
    for found in processes:
        for row in ("several", "sharded"):
            for name, distance in found[row].items():
                assert distance < 1e-5, (row, name)
        assert found["moved"] == 0
        assert "Received: 77 (2 such labels)" in found["message"]


def test_two_processes_of_jax_save_and_resume(processes):
    for found in processes:
        assert found["resumed"] == found["saved"] == 0
    # The first one wrote for TensorBoard.
    assert processes[0]["logs"] == 1


def test_two_processes_of_jax_take_data_of_load(processes):
    first, second = (found["datasets"] for found in processes)
    assert first == second
    assert {"loss", "val_loss"} <= set(first)


def test_two_processes_of_jax_that_differ_are_refused(processes):
    for found in processes:
        said = found["differences"]
        for name, words in {
            "labels": "other data",
            "samples": "other data",
            "epochs": "other epochs",
            "loss": "other loss",
        }.items():
            assert f"process 1 has {words} than process 0" in said[name], name


def test_a_process_of_jax_that_dies_ends_the_others(processes):
    (message,), seconds = processes[0]["died"]
    assert "Process 0 of 2 may have lost touch with another one" in message
    assert seconds < 120
