"""Several devices or processes train as one."""

import json
import pathlib
import subprocess
import sys

import keras
import pytest

SCRIPT = pathlib.Path(__file__).parent / "distributed_training.py"
JAX = keras.backend.backend() == "jax"


def run(script, folder, timeout):
    """What a program found that makes its devices or processes itself."""
    place = folder / "found.json"
    done = subprocess.run(
        [sys.executable, script, place],
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    return json.loads(place.read_text())


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What virtual devices found, in one program."""
    if keras.backend.backend() == "torch":
        pytest.skip("PyTorch has one device of the CPU")
    return run(SCRIPT, tmp_path_factory.mktemp("devices"), timeout=600)


def test_several_devices_train_as_one(found):
    """Clipped layers, weighted samples, a last batch of one sample."""
    for name, distance in found["several"].items():
        assert distance < 1e-5, name


def test_a_batch_that_is_not_sound_for_one_device_is_for_none(found):
    assert found["moved"] == 0
    assert "Received: 77 (2 such labels)" in found["message"]


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


@pytest.mark.only_on("tensorflow")
def test_strategies_that_cannot_train_local_layers_are_named(found):
    assert "ParameterServerStrategy" in found["server"]
    assert "JAX or PyTorch" in found["server"]
