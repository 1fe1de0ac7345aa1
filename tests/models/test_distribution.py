"""Two devices train as one, with TensorFlow's and JAX's data parallelism."""

import json
import pathlib
import subprocess
import sys

import keras
import pytest

SCRIPT = pathlib.Path(__file__).parent / "distributed_training.py"


@pytest.mark.skipif(
    keras.backend.backend() == "torch",
    reason="Keras has no data parallelism of its own on PyTorch",
)
def test_two_devices_train_as_one():
    done = subprocess.run(
        [sys.executable, SCRIPT], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    difference = json.loads(done.stdout.splitlines()[-1])
    assert difference["devices"] == 2
    assert difference["weights"] < 1e-6
    assert difference["logs"] < 1e-5
    # A batch that is not sound for one device is for none.
    assert difference["moved"] == 0
    assert "Received: 77 (2 such labels)" in difference["message"]
