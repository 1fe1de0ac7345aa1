"""The examples of dense networks train, and a finished run is kept."""

import json
import pathlib
import subprocess
import sys

import pytest

pytest.importorskip("matplotlib")
EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"
FLAGS = {
    "hff": ["--prototypes-per-class", "2", "--adapt"],
    "forward_forward": ["--loss", "symba", "--goodness", "mean"],
}


@pytest.mark.only_on("tensorflow")
@pytest.mark.parametrize("name", FLAGS)
def test_one_short_run(name, tmp_path):
    command = [
        *(sys.executable, EXAMPLES / f"{name}.py", "--dataset", "digits"),
        *("--width-multiplier", "0.05", "--batch-size", "64"),
        *("--epochs", "4", "--output", tmp_path, *FLAGS[name]),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    # Ten classes: far above chance after four epochs.
    assert metrics["test_accuracy_last_epoch"] > 0.6
    assert all(0 <= a <= 1 for a in metrics["layer_accuracy"].values())
    for file in ("model.keras", "best.keras", "curves.png", "layers.png"):
        assert (tmp_path / file).stat().st_size > 1000
