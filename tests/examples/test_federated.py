"""Devices of Flower share averages, which come back into Keras."""

import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest

import keras_ff

pytestmark = [
    pytest.mark.only_on("tensorflow"),
    pytest.mark.skipif(
        importlib.util.find_spec("flwr") is None,
        reason='Flower is not installed: pip install "keras_ff[federated]"',
    ),
]

# The second time the folder is that of the first.
PROGRAM = """
from examples import federated

federated.main()
federated.main()
"""


def test_a_round_is_the_average_of_the_devices(tmp_path):
    output = tmp_path / "federated"
    done = subprocess.run(
        [
            *(sys.executable, "-c", PROGRAM, "--output", output),
            *("--rounds", "1", "--epochs", "1"),
        ],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert "must be a new folder" in done.stderr, done.stderr[-5000:]
    devices = [np.load(output / f"device_{i}.npz") for i in range(3)]
    classes = [sorted(set(device["y"])) for device in devices]
    assert classes == [[0, 1, 2, 3], [4, 5, 6], [7, 8, 9]]
    counts = [len(device["y"]) for device in devices]
    assert sum(counts) == 1200
    averaged = np.load(output / "averaged_weights.npz")
    learned = [np.load(output / f"device_{i}_weights.npz") for i in range(3)]
    kernels = [name for name in averaged.files if name.endswith("kernel")]
    assert len(kernels) == 4
    for name in kernels:
        expected = sum(n * w[name] for n, w in zip(counts, learned)) / 1200
        np.testing.assert_allclose(averaged[name], expected, atol=1e-6)
        assert np.abs(learned[0][name] - learned[1][name]).max() > 1e-3
    results = json.loads((output / "results.json").read_text())
    assert len(results["averaged"]) == 2
    assert len(results["alone"]) == 3
    assert results["one with all"] > max(results["alone"])
    model = keras_ff.import_training(
        output / "exported", weights=output / "averaged_weights.npz"
    )
    test = np.load(output / "test.npz")
    _, accuracy = model.evaluate(test["x"], test["y"], verbose=0)
    assert accuracy == pytest.approx(results["averaged"][-1])
