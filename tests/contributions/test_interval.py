import numpy as np
import pytest
from fake_statistics import FakeStatistics

from keras_ff import contributions


def weights(accuracies, num_layers=4):
    statistics = FakeStatistics(accuracies=accuracies, num_layers=num_layers)
    return contributions.Interval().update(statistics)


@pytest.mark.parametrize(
    ("accuracies", "expected"),
    [
        ({(1, 2): 0.9, (0, 3): 0.8}, [0, 1, 1, 0]),
        ({(0, 3): 0.9, (1, 2): 0.8}, [1, 1, 1, 1]),
        ({(3, 3): 0.9}, [0, 0, 0, 1]),
        ({(0, 0): 0.9}, [1, 0, 0, 0]),
        # Of equal ones the earliest end wins, whatever the start.
        ({(0, 3): 0.9, (2, 2): 0.9}, [0, 0, 1, 0]),
        ({(0, 3): 0.9, (1, 2): 0.9, (2, 2): 0.9}, [0, 1, 1, 0]),
        # Then the earliest start.
        ({(1, 3): 0.9, (2, 3): 0.9}, [0, 1, 1, 1]),
        ({(0, 1): 0.9, (1, 1): 0.9, (0, 2): 0.9}, [1, 1, 0, 0]),
        # An accuracy of nought everywhere is a tie too.
        ({}, [1, 0, 0, 0]),
    ],
)
def test_best_interval(accuracies, expected):
    found = weights(accuracies)
    np.testing.assert_array_equal(found, expected)
    assert found.shape == (4,)


def test_random_tables_against_a_scan():
    """As published: ends ascending, then starts; the first best is kept."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        accuracies = {
            (s, e): rng.integers(0, 4) / 4
            for s in range(5)
            for e in range(s, 5)
        }
        best, kept = -1.0, None
        for end in range(5):
            for start in range(end + 1):
                if accuracies[start, end] > best:
                    best, kept = accuracies[start, end], (start, end)
        expected = [float(kept[0] <= i <= kept[1]) for i in range(5)]
        np.testing.assert_array_equal(weights(accuracies, 5), expected)


def test_one_layer():
    np.testing.assert_array_equal(weights({(0, 0): 0.5}, num_layers=1), [1.0])


def test_what_it_asks_for():
    contribution = contributions.Interval()
    assert contribution.source == "validation"
    assert contribution.measures_intervals
    np.testing.assert_array_equal(contribution.initial_weights(3), [1, 1, 1])
