"""The benchmark runs and writes what it promises (no timing is asserted)."""

import json
import pathlib
import subprocess
import sys

import keras
import pytest

from benchmarks import rates

pytest.importorskip("matplotlib")
pytest.importorskip("psutil")


def test_limit_is_the_share_of_the_matrix_products():
    # Output and kernel gradient of 8 layers; input gradients of 7 more.
    assert rates.ratio_limit(8) == pytest.approx((8 + 8) / (8 + 8 + 7))
    free = {"output": 1.0, "kernel_gradient": 2.0, "input_gradient": 0.0}
    assert rates.ratio_limit(8, free) == 1.0


def test_quick_run_writes_table_json_and_plot(tmp_path):
    backend = keras.backend.backend()
    done = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks", "--quick"),
            *("--backends", backend, "--output", tmp_path),
        ],
        cwd=pathlib.Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    results = json.loads((tmp_path / "local_step.json").read_text())
    result = results["backends"][backend]
    assert result["rates"]["matrix_product_gflops"] > 0
    kinds = {row["kind"] for row in result["step_time"]}
    assert kinds == {"bare", "published"}
    for row in result["step_time"]:
        assert row["local_seconds"] > 0 and row["backprop_seconds"] > 0
    memory = result["memory"]
    assert memory["depths"] == [2, 4]
    assert len(memory["local_bytes"]) == len(memory["backprop_bytes"]) == 2
    assert "the limit would be 0.800" in done.stdout
    assert (tmp_path / "local_step.png").stat().st_size > 10_000
