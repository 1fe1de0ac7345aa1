"""The examples of dense networks train and write their results."""

import json

import pytest

pytestmark = pytest.mark.only_on("torch")

pytest.importorskip("matplotlib")
FLAGS = {
    "hff": ["--prototypes-per-class", "2", "--adapt"],
    "forward_forward": ["--loss", "symba", "--goodness", "mean"],
}


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


def test_without_validation_data_and_after_a_kill(
    tmp_path, run_example, capsys
):
    arguments = [
        *("hff", "--dataset", "digits", "--width-multiplier", "0.02"),
        *("--epochs", "1", "--validation-split", "0", "--output", tmp_path),
    ]
    run_example(*arguments)
    path = tmp_path / "metrics.json"
    metrics = json.loads(path.read_text())
    assert 0 <= metrics["test_accuracy_last_epoch"] <= 1
    assert metrics["test_accuracy_validation_selected"] is None
    assert metrics["selected_epoch"] is None
    assert not (tmp_path / "best.keras").exists()

    # Killed while it drew, it draws at the next start, and does no more.
    (tmp_path / "layers.png").unlink()
    capsys.readouterr()
    run_example(*arguments)
    assert (tmp_path / "layers.png").stat().st_size > 1000
    log = capsys.readouterr().out
    assert "This run is finished" in log and "Epoch" not in log

    path.write_text(path.read_text()[:50])
    with pytest.raises(SystemExit, match="metrics.json is damaged.*remove"):
        run_example(*arguments)
    path.unlink()
    (tmp_path / "backup" / "backup.json").write_text("{")
    with pytest.raises(SystemExit, match="backup.json is damaged"):
        run_example(*arguments)
