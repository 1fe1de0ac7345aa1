import numpy as np
import pytest

from keras_ff import visualization
from keras_ff.models.early_exit import EarlyExitPrediction

pytestmark = pytest.mark.only_on("torch")


class TestEarlyExits:
    def test_draws_shares(self):
        ax = visualization.early_exits([1, 3, 3, 1, 1], ["a", "b", "c"])
        assert [bar.get_height() for bar in ax.patches] == [0.6, 0, 0.4]
        assert [t.get_text() for t in ax.get_xticklabels()] == ["a", "b", "c"]
        assert [t.get_text() for t in ax.texts] == [
            "60.0",
            "0.0",
            "40.0",
            "mean: 1.80 of 3 layers",
        ]
        assert ax.get_ylabel() == "samples"
        assert ax.yaxis.get_major_formatter()(0.6, 0) == "60 %"

    def test_without_names(self):
        layers_used = np.array([2, 2])
        ax = visualization.early_exits(
            EarlyExitPrediction(np.zeros((2, 3)), layers_used)
        )
        assert [bar.get_height() for bar in ax.patches] == [0, 1]
        ax = visualization.early_exits(layers_used)
        assert [bar.get_height() for bar in ax.patches] == [0, 1]

    @pytest.mark.parametrize(
        "needed, names, message",
        [
            ([], None, r"\(0,\)"),
            ([[1]], None, r"\(1, 1\)"),
            ([0, 1], None, "from 1, .*0"),
            ([1, 3], ["a", "b"], "from 1 to 2, .*3"),
            ([1.5], None, "1.5"),
            ([float("nan")], None, "nan"),
        ],
    )
    def test_bad_input(self, needed, names, message):
        with pytest.raises(ValueError, match=message):
            visualization.early_exits(needed, names)


class TestDepthAccuracy:
    # Of two samples: the first layer is right on one, the second on both but
    # weakly, the third wrong on both and strongly.
    GOODNESS = np.array(
        [
            [[1.0, 0.0], [0.1, 0.0], [0.0, 5.0]],
            [[1.0, 0.0], [0.0, 3.0], [5.0, 0.0]],
        ]
    )

    def drawn(self, weights, labels=((0,), (1,))):
        ax = visualization.depth_accuracy(
            self.GOODNESS, weights, np.array(labels)
        )
        line = ax.get_lines()[0]
        return line.get_xdata().tolist(), line.get_ydata().tolist()

    def test_adds_one_layer_after_the_other(self):
        assert self.drawn([1, 1, 1]) == ([0, 1, 2], [0.5, 1.0, 0.0])
        assert self.drawn([1, 0.1, 0]) == ([0, 1, 2], [0.5, 0.5, 0.5])
        rows = np.eye(2)
        assert self.drawn([1, 1, 1], rows) == ([0, 1, 2], [0.5, 1.0, 0.0])

    def test_starts_at_the_first_layer_with_a_weight(self):
        assert self.drawn([0, 1, 0.01]) == ([1, 2], [1.0, 1.0])

    @pytest.mark.parametrize(
        "goodness, weights, labels, names, message",
        [
            (GOODNESS[0], [1, 1, 1], [0, 1], None, r"\(3, 2\)"),
            (GOODNESS, [1, 1], [0, 1], None, r"3 in all.*\(2,\)"),
            (GOODNESS, [0, 0, 0], [0, 1], None, "at least one layer"),
            (GOODNESS, [1, 1, np.nan], [0, 1], None, "finite"),
            (GOODNESS + np.inf, [1, 1, 1], [0, 1], None, "finite"),
            (GOODNESS, [1, 1, 1], [0, 2], None, r"\[0, 2\).*2"),
            (GOODNESS, [1, 1, 1], [0, 0.5], None, r"\[0, 2\).*0.5"),
            (GOODNESS, [1, 1, 1], [0], None, r"2 in all.*\(1,\)"),
            (GOODNESS, [1, 1, 1], [0, 1], ["a"], "1 names"),
        ],
    )
    def test_bad_input(self, goodness, weights, labels, names, message):
        with pytest.raises(ValueError, match=f"(?i){message}"):
            visualization.depth_accuracy(goodness, weights, labels, names)
