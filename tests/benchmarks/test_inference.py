"""The inference benchmark runs on this backend and says what it measured."""

import json

import keras
import pytest


@pytest.mark.only_on("torch")
def test_quick_run_writes_table_and_json(tmp_path, run_quickly, capsys):
    backend = keras.backend.backend()
    run_quickly(
        "benchmarks.inference",
        *("--backends", backend, "--output", str(tmp_path)),
    )
    output = capsys.readouterr().out
    results = json.loads((tmp_path / "inference.json").read_text())
    rows = results["backends"][backend]
    assert [(r["classes"], r["batch_size"]) for r in rows] == [
        (3, 1),
        (3, 4),
        (6, 1),
        (6, 4),
    ]
    for row in rows:
        assert all(seconds > 0 for seconds in row["seconds"].values())
    # Three layers of 16 units, 32 features: 6 * 1024 against 1024 + 288.
    assert rows[-1]["speedup_in_multiplications"] == 6 * 1024 / (1024 + 288)
    assert "FF/HFF" in output and backend in output
