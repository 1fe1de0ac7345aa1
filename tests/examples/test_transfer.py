"""Heads learn on frozen features; what was run is not run again."""

import functools
import json

import numpy as np
import pytest

from examples import transfer

pytestmark = pytest.mark.only_on("torch")


def features(flags):
    rng = np.random.default_rng(0)
    data = {}
    for split, number in (("train", 40), ("test", 10)):
        data[f"{split}_pooled"] = rng.normal(size=(number, 1280))
        data[f"{split}_labels"] = np.arange(number) % 10
    return data


def test_runs_are_written_and_not_run_again(
    tmp_path, run_example, monkeypatch, capsys
):
    monkeypatch.setattr(transfer, "_features", features)
    monkeypatch.setattr(transfer, "RUNS", ("head-caw", "head-linear"))
    arguments = ["transfer", "--head-epochs", 1, "--output", tmp_path]
    run_example(*arguments)
    runs = json.loads((tmp_path / "metrics.json").read_text())["runs"]
    assert list(runs) == ["head-caw-0", "head-linear-0"]
    assert len(runs["head-caw-0"]["layers"]) == 2
    assert runs["head-linear-0"]["weights"] == 1280 * 10 + 10

    monkeypatch.setattr(
        transfer, "_run", lambda *_: {"test_accuracy": 0.25, "weights": 7}
    )
    run_example(*arguments, "--seeds", 0, 1)
    again = json.loads((tmp_path / "metrics.json").read_text())["runs"]
    assert again == {
        **runs,
        "head-caw-1": {"test_accuracy": 0.25, "weights": 7},
        "head-linear-1": {"test_accuracy": 0.25, "weights": 7},
    }
    first = 100 * runs["head-linear-0"]["test_accuracy"]
    assert f"| head-linear | {first:.1f}, 25.0 |" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="head_epochs"):
        run_example("transfer", "--head-epochs", 2, "--output", tmp_path)


def test_tails_take_what_the_front_gives(monkeypatch):
    random = functools.partial(transfer.efficientnet_lite0, weights=None)
    monkeypatch.setattr(transfer, "efficientnet_lite0", random)
    for way in ("backprop", "local_2"):
        model = transfer._tail(way)
        assert model.input_shape == (None, 6, 6, 112)
        assert model.output_shape == (None, 10)
        assert model.compiled
    assert len(model.local_layers) == 2
