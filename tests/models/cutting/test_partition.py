import itertools
import random

import pytest

from keras_ff.models.cutting.partition import partition

pytestmark = pytest.mark.only_on("torch")


def dearest(totals, entries, cuts):
    borders = [0, *cuts, len(totals) - 1]
    return max(
        totals[j] - totals[i] + entries[i]
        for i, j in itertools.pairwise(borders)
    )


def test_no_other_partition_is_cheaper():
    draw = random.Random(0)
    for _ in range(300):
        units = draw.choices([0, 1, 2, 3, 7, 20], k=draw.randint(1, 8))
        size = len(units)
        totals = [0, *itertools.accumulate(units)]
        entries = [draw.randint(0, 5)]
        entries += [draw.randint(0, unit) for unit in units]
        number = draw.randint(1, size)
        cuts = partition(totals, entries, number)
        assert len(set(cuts)) == number - 1 and cuts == sorted(cuts)
        assert set(cuts) <= set(range(1, size))
        best = min(
            dearest(totals, entries, others)
            for others in itertools.combinations(range(1, size), number - 1)
        )
        assert dearest(totals, entries, cuts) == best


def test_what_blocks_in_front_leave_behind_counts():
    draw = random.Random(0)
    for _ in range(100):
        units = draw.choices([1, 2, 3, 7, 20], k=6)
        left = draw.choices([0, 1, 5, 30], k=6)
        behind = [0, *itertools.accumulate(left)]
        own = [0, *itertools.accumulate(units)]
        totals = [a + b for a, b in zip(own, behind)]
        cuts = partition(totals, behind, 3)

        def needed(cuts):
            return max(
                own[j] - own[i] + behind[j]
                for i, j in itertools.pairwise([0, *cuts, 6])
            )

        assert needed(cuts) == min(
            map(needed, itertools.combinations(range(1, 6), 2))
        )


def test_of_equal_ones_the_even_one():
    # The first unit alone sets the bound.
    totals = [0, 10, *range(11, 17)]
    assert partition(totals, [0] * 8, 3) == [1, 4]


def test_many_units_are_cut_at_once():
    totals = list(range(20_001))
    cuts = partition(totals, [0] * 20_001, 8)
    assert cuts == [2500 * i for i in range(1, 8)]
