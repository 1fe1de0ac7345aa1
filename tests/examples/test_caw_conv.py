"""The example trains, goes on where it was interrupted, keeps its results."""

import csv
import json

import keras
import pytest

from examples.common import run

pytestmark = pytest.mark.only_on("torch")

pytest.importorskip("matplotlib")
FLAGS = [
    *("--dataset", "digits", "--width-multiplier", "0.1"),
    *("--batch-size", "256", "--epochs"),
]


# What is killed for good is in test_resume.py.
def test_interrupted_run_goes_on_with_the_same_command(
    tmp_path, run_example, monkeypatch, capsys
):
    arguments = ["caw_conv", *FLAGS, "3", "--output", tmp_path]
    on_epoch_end = run.Seconds.on_epoch_end

    def interrupt(self, epoch, logs=None):
        on_epoch_end(self, epoch, logs)
        if epoch == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run.Seconds, "on_epoch_end", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run_example(*arguments)
    assert "Epoch 1/3" in capsys.readouterr().out
    assert not (tmp_path / "metrics.json").exists()

    # A process of its own would give the layers the same names.
    keras.utils.clear_session()
    run_example(*arguments)
    log = capsys.readouterr().out
    # The second epoch had not been backed up.
    assert "Epoch 1/3" not in log and "Epoch 2/3" in log
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert 0 <= metrics["test_accuracy_last_epoch"] <= 1
    assert 0 <= metrics["selected_epoch"] < 3
    assert len(metrics["layer_accuracy"]) == 4
    assert sum(metrics["contribution"]) == pytest.approx(1, abs=1e-5)
    assert len(metrics["history"]["val_accuracy"]) == 3
    assert metrics["seconds"] == sum(metrics["history"]["seconds"])
    with open(tmp_path / "history.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    assert [float(r["loss"]) for r in rows] == metrics["history"]["loss"]
    for name in ("model.keras", "best.keras", "curves.png", "layers.png"):
        assert (tmp_path / name).stat().st_size > 1000

    # A finished run is not trained again, another one is refused.
    run_example(*arguments)
    assert "is finished" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="epochs: saved 3, given 4"):
        run_example("caw_conv", *FLAGS, "4", "--output", tmp_path)

    (tmp_path / "metrics.json").rename(tmp_path / "kept.json")
    whole = (tmp_path / "best.keras").read_bytes()
    (tmp_path / "best.keras").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SystemExit, match="best.keras is damaged"):
        run_example(*arguments)
    (tmp_path / "kept.json").rename(tmp_path / "metrics.json")

    (tmp_path / "config.json").unlink()
    with pytest.raises(SystemExit, match="not its flags"):
        run_example(*arguments)
    (tmp_path / "config.json").write_text('{"epochs"')
    with pytest.raises(SystemExit, match="config.json is damaged"):
        run_example(*arguments)


def test_flags_that_do_not_work_do_not_claim_the_folder(tmp_path, run_example):
    arguments = ["caw_conv", *FLAGS, "1", "--output", tmp_path]
    with pytest.raises(ValueError, match="validation_split"):
        run_example(*arguments, "--validation-split", "-1")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "flag, value, message",
    [
        ("--seed", "-1", "must be an integer from 0 to"),
        ("--epochs", "x", "must be a positive integer, received x"),
        ("--output", __file__, "test_caw_conv.py is a file"),
    ],
)
def test_bad_flags(flag, value, message, tmp_path, run_example, capsys):
    with pytest.raises(SystemExit):
        run_example("caw_conv", "--output", tmp_path, flag, value)
    assert message in capsys.readouterr().err
