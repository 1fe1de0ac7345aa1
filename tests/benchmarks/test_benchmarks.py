"""The benchmark runs and writes what it promises (no timing is asserted)."""

import json

import keras
import pytest

from benchmarks import rates
from benchmarks.memory import depth

pytest.importorskip("matplotlib")
pytest.importorskip("psutil")


def test_limit_is_the_share_of_the_matrix_products():
    # Output and kernel gradient of 8 layers; input gradients of 7 more.
    assert rates.ratio_limit(8) == pytest.approx((8 + 8) / (8 + 8 + 7))
    free = {"output": 1.0, "kernel_gradient": 2.0, "input_gradient": 0.0}
    assert rates.ratio_limit(8, free) == 1.0


# TensorFlow counts the memory of a CPU if told to before its import.
@pytest.mark.only_on("jax", "torch")
def test_memory_of_a_local_step_does_not_grow_with_depth():
    (result,) = depth.measure(["published"], [2, 4], batch_size=8)
    assert result["local_growth"] < 1.1
    assert result["backprop_growth"] > 1.8


@pytest.mark.only_on("torch")
def test_quick_run_writes_table_json_and_plot(tmp_path, run_quickly, capsys):
    backend = keras.backend.backend()
    run_quickly(
        "benchmarks.__main__",
        *("--backends", backend, "--output", str(tmp_path)),
    )
    output = capsys.readouterr().out
    # The limit of two layers and 1.1 times it.
    assert "0.800" in output and "at most 0.880" in output
    assert (tmp_path / "local_step.png").stat().st_size > 10_000

    results = json.loads((tmp_path / "local_step.json").read_text())
    assert {"cpu", "cores", "memory_gib", "system", "packages"} <= set(
        results["machine"]
    )
    assert str(tmp_path) not in json.dumps(results)
    assert list(results["backends"]) == [backend]
    result = results["backends"][backend]

    assert result["rates"]["matrix_product_gflops"] > 0
    (convolution,) = result["rates"]["convolutions"]
    assert set(convolution["gflops"]) == set(rates.PRODUCTS)
    assert all(value > 0 for value in convolution["gflops"].values())

    assert [row["kind"] for row in result["step_time"]] == ["bare", "published"]
    for row in result["step_time"]:
        assert row["local_seconds"] > 0 and row["backprop_seconds"] > 0
        low, high = row["ratio_quartiles"]
        assert 0 < low <= row["ratio"] <= high

    arrays = result["array_fit"]
    assert arrays["images"] == 64 and arrays["ratio"] > 0
    assert all(arrays["seconds"][name] > 0 for name in ("keras_ff", "keras"))
    assert "at most 1.10" in output

    # One device with one core and with two, two devices.
    shared = json.loads((tmp_path / "data_parallel.json").read_text())
    rows = shared["backends"][backend]
    used = [(row["devices"], row["cores"]) for row in rows]
    assert used == [(1, 1), (2, 2), (1, 2)]
    for row in rows:
        assert row["local"]["gain"] > 0 and row["backprop"]["gain"] > 0
    assert "how many times those of one core" in output

    (sizes,) = result["memory"]
    assert sizes["kind"] == "bare" and sizes["depths"] == [2]
    assert len(sizes["local_bytes"]) == len(sizes["backprop_bytes"]) == 1
