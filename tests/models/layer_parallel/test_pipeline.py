"""Stations work side by side, hold few items and never hang."""

import contextlib
import itertools
import threading

import pytest

from keras_ff.models.layer_parallel.balance import cut
from keras_ff.models.layer_parallel.pipeline import Pipeline

pytestmark = pytest.mark.only_on("torch")


class Station(contextlib.nullcontext):
    def __init__(self, work):
        super().__init__()
        self.work = work

    def __call__(self, item):
        self.work(item)
        return item


class Item:
    def __init__(self, number):
        self.number = number
        self.error = None

    def drop(self, error):
        self.error = error


def test_stations_work_at_the_same_time_and_in_order():
    # Each meets the other over another item, or it breaks.
    barrier = threading.Barrier(2)
    seen = []

    def first(item):
        if item.number:
            barrier.wait(timeout=10)

    def second(item):
        if item.number < 5:
            barrier.wait(timeout=10)
        seen.append(item.number)

    pipeline = Pipeline([Station(first), Station(second)])
    for number in range(6):
        pipeline.put(Item(number))
    pipeline.close()
    assert pipeline.error is None
    assert seen == list(range(6))


def test_no_more_than_two_items_wait():
    go, done = threading.Event(), []

    def blocked(item):
        go.wait(timeout=10)

    pipeline = Pipeline([Station(lambda item: None), Station(blocked)])

    def put():
        for number in range(20):
            pipeline.put(Item(number))
            done.append(number)

    thread = threading.Thread(target=put)
    thread.start()
    thread.join(timeout=0.5)
    # One in each station's hands, two before each.
    assert len(done) == 6
    go.set()
    thread.join(timeout=10)
    pipeline.close()


@pytest.mark.parametrize("where", [0, 1, 2])
def test_an_error_drops_what_is_under_way(where):
    def fail(item):
        if item.number == 3:
            raise RuntimeError("out of order")

    stations = [Station(lambda item: None) for _ in range(3)]
    stations[where] = Station(fail)
    pipeline = Pipeline(stations)
    items = [Item(number) for number in range(30)]
    for item in items:
        pipeline.put(item)
    pipeline.close()
    assert str(pipeline.error) == "out of order"
    assert items[3].error is pipeline.error
    assert items[29].error is pipeline.error


def test_the_longest_part_is_as_short_as_can_be():
    lengths = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0]
    for number in range(1, 8):
        parts = cut(lengths, number)
        assert [i for part in parts for i in part] == list(range(7))
        best = min(
            max(sum(lengths[a:b]) for a, b in zip((0, *c), (*c, 7)))
            for c in itertools.combinations(range(1, 7), number - 1)
        )
        assert len(parts) == number
        assert max(sum(lengths[i] for i in part) for part in parts) == best
