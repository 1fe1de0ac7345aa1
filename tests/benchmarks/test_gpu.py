import json
import math
import time

import numpy as np
import pytest

from benchmarks.gpu import parts
from benchmarks.gpu import resnet17
from benchmarks.gpu.__main__ import summary
from benchmarks.gpu.session import Session

pytestmark = pytest.mark.only_on("torch")


def test_parts_lose_nothing(tmp_path):
    pytest.importorskip("PIL")
    generator = np.random.default_rng(0)
    arrays = {}
    for split, size in (("train", 30), ("test", 7)):
        arrays[f"x_{split}"] = generator.integers(
            0, 256, (size, 8, 8, 3), "uint8"
        )
        arrays[f"y_{split}"] = np.arange(size, dtype="int32")
    paths = parts.pack(arrays, tmp_path / "packed", part_mib=2**-8)
    assert len(paths) > 3
    # Each load in a folder of its own.
    (tmp_path / "more").mkdir()
    paths[1].replace(tmp_path / "more" / paths[1].name)
    folders = [tmp_path / "packed", tmp_path / "more"]
    found = parts.unpack(folders, tmp_path / "cifar10.npz")
    with np.load(tmp_path / "cifar10.npz") as saved:
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], array)
            np.testing.assert_array_equal(saved[name], array)
    with pytest.raises(FileNotFoundError, match="train"):
        parts.unpack(folders[:1], tmp_path / "cifar10.npz")


class Clock(Session):
    """A session whose seconds only pass when told."""

    def left(self):
        return self.end


def test_the_schedule_ends_with_the_time(tmp_path):
    # Epochs of 10 seconds, and a first one of 50, in 300 seconds.
    clock = Clock("resnet17", str(tmp_path), "", 300.0, "measure")
    pace = resnet17.Pace(clock, 150)
    rates = []
    for epoch in range(150):
        rates.append(pace.learning_rate(epoch, None))
        seconds = 10 if epoch else 50
        clock.end -= seconds
        pace.start = time.perf_counter() - seconds
        pace.end(epoch, {"loss": 1, "accuracy": 0.1, "val_accuracy": 0.2})
        if pace.epochs_left() < 1:
            break
    # What is kept for the test does not become training.
    assert resnet17.REST <= clock.end < resnet17.REST + 10
    assert rates[0] == 0.08 and rates == sorted(rates, reverse=True)
    # A cosine from the first epoch to the end, but for the first two, when
    # nobody knew the pace.
    steps = np.arange(len(rates) - 2) / (len(rates) - 2)
    expected = [0.006 + 0.037 * (1 + math.cos(math.pi * x)) for x in steps]
    np.testing.assert_allclose(rates[2:], expected, rtol=0.02)
    lines = (tmp_path / "results.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["epoch"] == len(rates)


def test_summary(tmp_path):
    session = Session("rates", str(tmp_path), "", 0.0, "dry")
    session.record("epoch", loss=np.float32(1.5))
    session.record("rate", images_per_second=np.float32(2.5))
    assert json.loads(summary(tmp_path / "results.jsonl")) == {
        "stage": "rates",
        "kind": "rate",
        "images_per_second": 2.5,
    }
