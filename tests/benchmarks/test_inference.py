"""The inference benchmark runs on this backend and says what it measured."""

import json
import subprocess
import sys

import keras
import pytest


@pytest.mark.only_on("torch")
def test_quick_run_writes_table_and_json(tmp_path):
    backend = keras.backend.backend()
    done = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks.inference", "--quick"),
            *("--backends", backend, "--output", tmp_path),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
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
    assert "FF/HFF" in done.stdout and backend in done.stdout
