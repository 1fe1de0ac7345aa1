"""The early-exit benchmark runs and says what it measured."""

import json

import pytest


@pytest.mark.only_on("torch")
def test_quick_run_writes_table_and_json(tmp_path, run_quickly, capsys):
    pytest.importorskip("sklearn")
    run_quickly(
        "benchmarks.early_exit",
        *("--backends", "torch", "--architectures", "mlp"),
        *("--losses", "0.01", "1.0", "--output", str(tmp_path)),
    )
    output = capsys.readouterr().out
    results = json.loads((tmp_path / "early_exit.json").read_text())
    (found,) = results["backends"]["torch"].values()
    strict, free = found["early_exit"]
    # Two layers of 20 units on 64 pixels; with all accuracy to lose, all
    # samples leave at the first.
    assert free["mean_layers_used"] == 1
    assert free["layers_used"] == [found["test_samples"], 0]
    assert free["share_of_multiplications"] == pytest.approx(64 / (64 + 20))
    assert 1 <= strict["mean_layers_used"] <= 2
    validation = strict["validation"]
    lost = validation["full_accuracy"] - validation["accuracy"]
    assert lost <= 0.01 + 1e-9
    assert found["seconds"] > 0 and found["cpu_seconds"] > 0
    assert "speed-up" in output
