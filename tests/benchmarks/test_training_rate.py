"""The training rate benchmark runs on this backend and counts right."""

import json

import pytest


@pytest.mark.only_on("torch")
def test_quick_run_writes_table_and_json(tmp_path, run_quickly, capsys):
    run_quickly(
        "benchmarks.training_rate",
        *("--backends", "torch", "--output", str(tmp_path)),
    )
    output = capsys.readouterr().out
    results = json.loads((tmp_path / "training_rate.json").read_text())
    (row,) = results["backends"]["torch"]
    # Widths 5, 10, 20, 20 on 32, 16, 8 and 8 pixels.
    kernels = [
        32**2 * 25 * 3 * 5,
        16**2 * 25 * 5 * 10,
        8**2 * 9 * 10 * 20,
        8**2 * 9 * 20 * 20,
    ]
    products = {"caw": 2 * sum(kernels), "backprop": 3 * sum(kernels)}
    products["backprop"] -= kernels[0]
    # Heads are counted with neither.
    for method, count in products.items():
        assert row[method]["gflop_of_an_image"] == 2 * count / 1e9
        assert row[method]["images_per_second"] > 0
    assert "CAW-Conv" in output and "GF/s" in output
