"""Ray's workers train one model; one that is killed changes no weight."""

import importlib.util
import json
import subprocess
import sys

import h5py
import numpy as np
import pytest

pytestmark = [
    pytest.mark.only_on("torch"),
    pytest.mark.skipif(
        importlib.util.find_spec("ray") is None,
        reason='Ray is not installed: pip install "keras_ff[ray]"',
    ),
]

# Both in one cluster, which ends with the program.
PROGRAM = """
import sys
from examples import ray_train

_, output, *common = sys.argv
for name, *flags in (["straight"], ["killed", "--kill", "1"]):
    sys.argv = ["ray_train", "--output", f"{output}/{name}", *common, *flags]
    ray_train.main()
"""


def checkpoint(folder):
    """The epochs and the weights of Ray's last checkpoint."""
    (*_, last) = sorted(p for p in folder.glob("checkpoint_*") if p.is_dir())
    record = json.loads((last / "backup.json").read_text())["record"]
    arrays = {}

    def take(name, item):
        if isinstance(item, h5py.Dataset):
            arrays[name] = item[()]

    with h5py.File(last / record["weights"]) as file:
        file.visititems(take)
    return record["epoch"], arrays


def test_a_killed_worker_of_ray_changes_no_weight(tmp_path):
    done = subprocess.run(
        [
            *(sys.executable, "-c", PROGRAM, tmp_path, "--dataset", "digits"),
            *("--workers", "2", "--epochs", "3", "--batch-size", "400"),
        ],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-5000:] + done.stdout[-5000:]
    # Ray started the workers again, and the first epoch was kept.
    assert "[FailurePolicy] RETRY" in done.stderr + done.stdout
    straight, killed = (
        done.stdout.partition("straight/checkpoint")[i].count("Epoch 1/3")
        for i in (0, 2)
    )
    assert (straight, killed) == (1, 1)
    epoch, expected = checkpoint(tmp_path / "straight")
    epoch_again, found = checkpoint(tmp_path / "killed")
    assert epoch == epoch_again == 3
    assert expected.keys() == found.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
