"""Memory of networks by way of training, at a small size."""

import json
import subprocess
import sys
from unittest import mock

import pytest

from benchmarks.memory import __main__ as memory
from benchmarks.memory import one_way

pytest.importorskip("psutil")
pytestmark = pytest.mark.only_on("torch")


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr("benchmarks.memory.networks.LENGTH", 64)


def test_blocks_need_less_than_the_whole(small):
    rows = {
        way: one_way.measure("transformer", way, 64, 8, repeats=1)
        for way in ("backpropagation", "local_8")
    }
    sizes = {
        way: row["peak_bytes"] - row["gradient_bytes"]
        for way, row in rows.items()
    }
    # An eighth of the layers, and what comes on top.
    assert 0.1 < sizes["local_8"] / sizes["backpropagation"] < 0.4
    assert all(row["seconds_per_image"] > 0 for row in rows.values())


def test_figures_are_written_at_once_and_taken_once(tmp_path, capsys):
    row = {
        "network": "transformer",
        "image_size": 64,
        "batch_size": 2,
        "gradient_bytes": 2**20,
        "meaning": "bytes",
        "seconds_per_image": 0.002,
    }
    asked = []

    def run(module, backend, settings, **environment):
        asked.append((module, backend, settings["way"], environment))
        peak = {"backpropagation": 5 * 2**20, "local_8": 2 * 2**20}
        return {
            **row,
            "way": settings["way"],
            "peak_bytes": peak[settings["way"]],
        }

    arguments = ["memory", "--quick", "--backends", "jax", "--output"]
    for _ in range(2):
        with (
            mock.patch.object(sys, "argv", [*arguments, str(tmp_path)]),
            mock.patch.object(memory.processes, "run", run),
        ):
            memory.main()
    way = "benchmarks.memory.one_way"
    allocator = {"TF_CPU_ALLOCATOR_USE_BFC": "true"}
    assert asked == [
        (way, "jax", "backpropagation", allocator),
        (way, "jax", "local_8", allocator),
    ]
    rows = json.loads((tmp_path / "memory.json").read_text())["rows"]
    assert [found["way"] for found in rows] == ["backpropagation", "local_8"]
    assert (
        "| jax | transformer, 64 px, 2 | local, 8 | 1 | 0.25 | 2 | 2 |"
        in capsys.readouterr().out
    )


def test_a_way_that_a_backend_cannot_go(tmp_path, capsys):
    def run(module, backend, settings, **environment):
        if settings["way"] == "backpropagation":
            raise subprocess.CalledProcessError(1, module)
        return {
            "network": "transformer",
            "way": settings["way"],
            "image_size": 64,
            "batch_size": 2,
            "peak_bytes": 2**20,
            "gradient_bytes": 0,
            "seconds_per_image": None,
        }

    arguments = ["memory", "--quick", "--backends", "jax", "--output"]
    with (
        mock.patch.object(sys, "argv", [*arguments, str(tmp_path)]),
        mock.patch.object(memory.processes, "run", run),
        pytest.raises(SystemExit, match="transformer, backprop.*, on jax"),
    ):
        memory.main()
    (row,) = json.loads((tmp_path / "memory.json").read_text())["rows"]
    assert row["way"] == "local_8"
    assert "| local, 8 | 1 |  | 1 |" in capsys.readouterr().out
