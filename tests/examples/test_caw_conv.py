"""The example trains, is killed, resumes, and keeps its results."""

import json
import os
import pathlib
import subprocess
import sys
import time

import pytest

pytest.importorskip("matplotlib")
SCRIPT = pathlib.Path(__file__).parents[2] / "examples" / "caw_conv.py"


def command(output, epochs=3):
    return [
        *(sys.executable, str(SCRIPT), "--dataset", "digits"),
        *("--width-multiplier", "0.1", "--batch-size", "256"),
        *("--epochs", str(epochs), "--output", str(output)),
    ]


def finish(output, **kwargs):
    return subprocess.run(
        command(output, **kwargs), capture_output=True, text=True
    )


@pytest.mark.only_on("tensorflow")
def test_killed_run_resumes_with_the_same_command(
    tmp_path, run_example, capsys
):
    output = tmp_path / "run"
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        command(output), env=environment, stdout=subprocess.DEVNULL
    )
    backup = output / "backup" / "training_metadata.json"
    while not backup.exists() and process.poll() is None:
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert backup.exists()
    assert not (output / "metrics.json").exists()

    done = finish(output)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Epoch 1/3" not in done.stdout
    metrics = json.loads((output / "metrics.json").read_text())
    assert 0 <= metrics["test_accuracy_last_epoch"] <= 1
    assert 0 <= metrics["selected_epoch"] < 3
    assert len(metrics["layer_accuracy"]) == 4
    assert sum(metrics["contribution"]) == pytest.approx(1, abs=1e-5)
    rows = (output / "history.csv").read_text().splitlines()
    assert len(rows) >= 4
    for name in ("model.keras", "best.keras", "curves.png", "layers.png"):
        assert (output / name).stat().st_size > 1000

    # A finished run is not trained again, another one is refused.
    run_example("caw_conv", *command(output)[2:])
    assert "is finished" in capsys.readouterr().out
    with pytest.raises(SystemExit, match=r"'epochs': \(3, 4\)"):
        run_example("caw_conv", *command(output, epochs=4)[2:])
