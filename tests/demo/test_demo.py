import base64
import json
import pathlib
import re

import keras
import pytest
import python_processes

from demo.__main__ import main

ROOT = pathlib.Path(__file__).parents[2]
PNG = b"\x89PNG\r\n\x1a\n"
LAYERS = [f"conv{i}" for i in range(1, 7)]


@pytest.mark.only_on("tensorflow")
def test_a_run_of_one_epoch(tmp_path):
    folder = tmp_path / "new"
    command = ["-m", "demo", "--epochs", "1", "--seed", "3"]
    done = python_processes.run([*command, "--output", folder], cwd=ROOT)
    assert done.returncode == 0, done.stderr
    check_metrics(json.loads((folder / "metrics.json").read_text()))
    check_figure((folder / "report.png").read_bytes())
    check_page((folder / "report.html").read_text(encoding="utf-8"))
    check_output(done.stdout, folder)


def check_metrics(metrics):
    assert 0 <= metrics["forward_only_accuracy"] <= 1
    # One epoch is enough for more than chance.
    assert 0.5 < metrics["backprop_accuracy"] <= 1
    assert list(metrics["layer_accuracy"]) == LAYERS
    assert all(0 <= value <= 1 for value in metrics["layer_accuracy"].values())
    assert sum(metrics["layer_weight"].values()) == pytest.approx(1, abs=1e-5)
    for name in ("forward_only", "backprop"):
        assert metrics["step_seconds"][name] > 0
        assert metrics["parameters"][name] > 100_000
    peak = metrics["step_peak_bytes"]
    # Nearly all of either is working space of convolutions.
    assert 0 < peak["forward_only"] < peak["backprop"]
    assert metrics["configuration"]["epochs"] == 1
    assert metrics["test_images"] == 360
    assert metrics["seed"] == 3
    assert metrics["backend"] == "tensorflow"
    assert metrics["versions"]["keras"] == keras.__version__


def check_figure(data):
    width, height = (int.from_bytes(data[i : i + 4]) for i in (16, 20))
    assert data[:8] == PNG
    assert width >= 1800 and height >= 1000


def check_page(page):
    sources = re.findall(r'src="([^"]*)"', page)
    assert len(sources) == 5
    for source in sources:
        kind, data = source.split(",")
        assert kind == "data:image/png;base64"
        assert base64.b64decode(data).startswith(PNG)
    # Nothing is left to fill in, nothing comes from elsewhere.
    assert "$" not in page
    assert "http" not in page
    for layer in LAYERS:
        assert f"of {layer} alone" in page


def check_output(output, folder):
    for row in ("test accuracy", "of conv6 alone", "time of a step"):
        assert row in output
    # Keras's progress bar, without the six layers' own metrics.
    assert "val_accuracy" in output
    assert "conv1_accuracy" not in output
    for file in ("metrics.json", "report.png", "report.html"):
        assert f"Wrote {folder / file}" in output


@pytest.mark.only_on("torch")
@pytest.mark.parametrize("epochs", ["0", "-1", "many"])
def test_wrong_epochs_are_refused(epochs, capsys):
    with pytest.raises(SystemExit):
        main(["--epochs", epochs])
    assert "--epochs" in capsys.readouterr().err
