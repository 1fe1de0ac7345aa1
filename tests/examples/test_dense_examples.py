"""The examples of dense networks train and write their results."""

import json

import pytest

pytest.importorskip("matplotlib")
FLAGS = {
    "hff": ["--prototypes-per-class", "2", "--adapt"],
    "forward_forward": ["--loss", "symba", "--goodness", "mean"],
}


@pytest.mark.only_on("torch")
@pytest.mark.parametrize("name", FLAGS)
def test_one_short_run(name, tmp_path, run_example):
    run_example(
        name,
        *("--dataset", "digits", "--width-multiplier", "0.05"),
        *("--batch-size", "64", "--epochs", "4", "--output", tmp_path),
        *FLAGS[name],
    )
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    # Ten classes: far above chance after four epochs.
    assert metrics["test_accuracy_last_epoch"] > 0.6
    assert all(0 <= a <= 1 for a in metrics["layer_accuracy"].values())
    for file in ("model.keras", "best.keras", "curves.png", "layers.png"):
        assert (tmp_path / file).stat().st_size > 1000
