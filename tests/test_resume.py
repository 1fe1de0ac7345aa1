"""A killed training, resumed, ends as if it had not been killed."""

import pathlib
import signal

import numpy as np
import pytest
import python_processes

SCRIPT = pathlib.Path(__file__).with_name("resume_script.py")


def run(data, folder, output, *kill):
    return python_processes.run([SCRIPT, data, folder, output, *kill])


# The pipeline is the same on all backends; PyTorch's training keeps no state
# outside of Keras's variables, other than JAX's, and is killed in its backups'
# and the examples' tests.
@pytest.mark.parametrize(
    "data",
    [
        pytest.param("arrays", marks=pytest.mark.only_on("jax")),
        pytest.param("tf.data", marks=pytest.mark.only_on("tensorflow")),
    ],
)
def test_sigkill_in_and_between_epochs(data, tmp_path):
    # In a process like the others: this one has done other things before.
    done = run(data, tmp_path / "whole", tmp_path / "whole.npz")
    assert done.returncode == 0, done.stderr
    # In the middle of the second epoch, then before the fourth.
    for kill in ("1:1", "3"):
        killed = run(data, tmp_path / "b", tmp_path / "resumed.npz", kill)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert not (tmp_path / "resumed.npz").exists()
    resumed = run(data, tmp_path / "b", tmp_path / "resumed.npz")
    assert resumed.returncode == 0, resumed.stderr
    with (
        np.load(tmp_path / "whole.npz") as whole,
        np.load(tmp_path / "resumed.npz") as again,
    ):
        assert whole.files == again.files
        for name in whole.files:
            np.testing.assert_allclose(
                again[name], whole[name], rtol=1e-5, atol=1e-6
            )
