import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgba

from keras_ff import visualization
from keras_ff.visualization.style import spread

pytestmark = pytest.mark.only_on("torch")

HISTORY = {
    "loss": [2.0, 1.0],
    "accuracy": [0.4, 0.6],
    "val_accuracy": [0.5, 0.7],
    "conv_2_accuracy": [0.1, 0.2],
    "conv_2_loss": [1.0, 0.9],
    "conv_10_accuracy": [0.3, 0.4],
    "conv_10_loss": [1.0, 0.8],
    "conv_accuracy": [0.2, 0.3],
    "conv_loss": [1.0, 0.7],
    "val_conv_2_accuracy": [0.15, 0.25],
    "val_conv_10_accuracy": [0.35, 0.45],
    "val_conv_accuracy": [0.25, 0.35],
    # A metric of the combined prediction, not of a layer.
    "sparse_top_k_categorical_accuracy": [0.9, 0.9],
}


def lines(ax):
    return {
        line.get_label(): (list(line.get_xdata()), list(line.get_ydata()))
        for line in ax.get_lines()
    }


def texts(ax):
    return [text.get_text() for text in ax.texts]


class TestLearningCurves:
    def test_draws_what_it_was_given(self):
        ax = visualization.learning_curves(
            {"a": HISTORY, "b": {"val_accuracy": [0.1, 0.2, 0.9]}}
        )
        assert lines(ax) == {
            "a": ([1, 2], [0.5, 0.7]),
            "b": ([1, 2, 3], [0.1, 0.2, 0.9]),
        }
        assert texts(ax) == ["a", "b"]
        assert ax.get_xlabel() == "epoch"
        assert ax.get_ylabel() == "validation accuracy"
        assert ax.yaxis.get_major_formatter()(0.975, 0) == "97.5 %"
        assert ax.get_xlim() == (1, 3)

    def test_takes_another_metric_axes_and_a_keras_history(self):
        history = keras.callbacks.History()
        history.history = HISTORY
        _, ax = plt.subplots()
        assert visualization.learning_curves({"a": history}, "loss", ax) is ax
        assert lines(ax) == {"a": ([1, 2], [2.0, 1.0])}
        assert ax.get_ylabel() == "training loss"

    def test_seeds_are_a_mean_and_a_band(self):
        seeds = [{"val_accuracy": v} for v in ([0.2, 0.5], [0.4, 0.9])]
        ax = visualization.learning_curves({"a": seeds, "b": HISTORY})
        ((x, y), (_, other)) = lines(ax).values()
        assert x == [1, 2] and other == [0.5, 0.7]
        np.testing.assert_allclose(y, [0.3, 0.7])
        (band,) = ax.collections
        corners = {tuple(p) for p in band.get_paths()[0].vertices}
        assert {(1, 0.2), (1, 0.4), (2, 0.5), (2, 0.9)} <= corners

    def test_many_lines_differ_in_color_or_style(self):
        histories = {str(i): HISTORY for i in range(28)}
        drawn = visualization.learning_curves(histories).get_lines()
        seen = {(line.get_color(), line.get_linestyle()) for line in drawn}
        assert len(seen) == 28
        with pytest.raises(ValueError, match="At most 28.*Received: 29"):
            visualization.learning_curves({**histories, "28": HISTORY})

    def test_a_single_epoch_is_visible(self):
        ax = visualization.learning_curves({"a": {"val_accuracy": [0.5]}})
        assert ax.get_lines()[0].get_marker() == "o"

    def test_text_is_legible_and_colors_differ(self):
        ax = visualization.learning_curves({"a": HISTORY, "b": HISTORY})
        ax.figure.canvas.draw()
        written = [
            *ax.texts,
            ax.xaxis.label,
            ax.yaxis.label,
            *ax.get_xticklabels(),
            *ax.get_yticklabels(),
        ]
        assert min(text.get_fontsize() for text in written) >= 11
        first, second = ax.get_lines()
        assert to_rgba(first.get_color()) != to_rgba(second.get_color())
        # Both end at the same height, their labels must not.
        assert ax.texts[0].get_position()[1] != ax.texts[1].get_position()[1]

    @pytest.mark.parametrize(
        "histories, error, message",
        [
            ({}, ValueError, "must not be empty"),
            ({"a": {}}, ValueError, "train the model first"),
            ({"a": {"loss": [1.0]}}, ValueError, "'val_accuracy'.*'loss'"),
            ({"a": {"val_accuracy": []}}, ValueError, "at least one epoch"),
            ({"a": {"val_accuracy": [[0.1]]}}, ValueError, r"\(1, 1\)"),
            ([HISTORY], TypeError, "dictionary"),
            ({"a": 3}, TypeError, "what `fit` returned"),
            ({"a": []}, ValueError, "'a' must have at least one"),
            (
                {"a": [HISTORY, {"val_accuracy": [0.1]}]},
                ValueError,
                r"'a' must have equal numbers.*\[1, 2\]",
            ),
        ],
    )
    def test_bad_input(self, histories, error, message):
        with pytest.raises(error, match=message):
            visualization.learning_curves(histories)


class TestLayerAccuracy:
    def test_draws_what_it_was_given(self):
        ax = visualization.layer_accuracy(
            ["one", "two"], [0.5, 0.913], combined=0.95, reference=0.97
        )
        drawn = lines(ax)
        assert drawn.pop("combined")[1] == [0.95, 0.95]
        assert drawn.pop("backpropagation")[1] == [0.97, 0.97]
        assert list(drawn.values()) == [([0, 1], [0.5, 0.913])]
        assert texts(ax) == [
            "50.0",
            "91.3",
            "combined\n95.0 %",
            "backpropagation\n97.0 %",
        ]
        labels = [text.get_text() for text in ax.get_xticklabels()]
        assert labels == ["one", "two"]
        low, high = ax.get_ylim()
        assert low < 0.5 and high > 0.97
        assert ax.get_ylabel() == "accuracy"

    def test_without_lines_and_on_given_axes(self):
        _, ax = plt.subplots()
        assert visualization.layer_accuracy(["one"], [0.5], ax=ax) is ax
        assert len(ax.get_lines()) == 1

    def test_reference_with_a_label(self):
        ax = visualization.layer_accuracy(
            ["one"], [0.5], reference=("a paper", 0.6)
        )
        assert lines(ax)["a paper"][1] == [0.6, 0.6]

    @pytest.mark.parametrize(
        "names, accuracies, combined, message",
        [
            ([], [], None, "at least one layer"),
            (["one"], [0.1, 0.2], None, "1 names.*2"),
            (["one"], [[0.1]], None, r"\(1, 1\)"),
            (["one"], [97.0], None, "97"),
            (["one"], [float("nan")], None, "nan"),
            (["one"], [0.5], -0.1, "-0.1"),
        ],
    )
    def test_bad_input(self, names, accuracies, combined, message):
        with pytest.raises(ValueError, match=message):
            visualization.layer_accuracy(names, accuracies, combined)


class TestLayerAccuracyOverEpochs:
    def test_draws_validation_in_the_order_of_the_layers(self):
        ax = visualization.layer_accuracy_over_epochs(HISTORY)
        assert lines(ax) == {
            "conv": ([1, 2], [0.25, 0.35]),
            "conv_2": ([1, 2], [0.15, 0.25]),
            "conv_10": ([1, 2], [0.35, 0.45]),
            "combined": ([1, 2], [0.5, 0.7]),
        }
        assert list(lines(ax)) == ["conv", "conv_2", "conv_10", "combined"]
        assert ax.get_ylabel() == "validation accuracy"

    def test_draws_training_without_validation(self):
        history = {k: v for k, v in HISTORY.items() if k[:4] != "val_"}
        ax = visualization.layer_accuracy_over_epochs(history)
        assert lines(ax)["conv_10"] == ([1, 2], [0.3, 0.4])
        assert ax.get_ylabel() == "training accuracy"

    def test_takes_names(self):
        ax = visualization.layer_accuracy_over_epochs(HISTORY, ["conv_10"])
        assert list(lines(ax)) == ["conv_10", "combined"]

    def test_bad_input(self):
        draw = visualization.layer_accuracy_over_epochs
        with pytest.raises(ValueError, match="layer_metrics=True"):
            draw({"val_accuracy": [0.5]})
        with pytest.raises(ValueError, match="layer_metrics=True"):
            draw({})
        with pytest.raises(ValueError, match="other_accuracy"):
            draw(HISTORY, ["other"])


class TestContributions:
    WEIGHTS = [[0.5, 0.5], [0.3, 0.7], [0.2, 0.8]]

    def test_stacks_areas(self):
        ax = visualization.contributions(self.WEIGHTS, ["one", "two"])
        lower, upper = ax.collections
        assert (lower.get_label(), upper.get_label()) == ("one", "two")
        corners = {tuple(v) for v in lower.get_paths()[0].vertices.round(6)}
        assert {(1, 0), (1, 0.5), (2, 0.3), (3, 0.2)} <= corners
        corners = {tuple(v) for v in upper.get_paths()[0].vertices.round(6)}
        assert {(1, 0.5), (1, 1), (3, 0.2), (3, 1)} <= corners
        assert texts(ax) == ["one: 0.20", "two: 0.80"]
        assert ax.get_xlabel() == "epoch"

    def test_draws_lines(self):
        weights = np.array(self.WEIGHTS) - 0.4
        _, ax = plt.subplots()
        assert visualization.contributions(weights, kind="line", ax=ax) is ax
        drawn = lines(ax)
        assert list(drawn) == ["layer 1", "layer 2"]
        np.testing.assert_allclose(drawn["layer 1"][1], weights[:, 0])

    def test_starts_at_another_epoch(self):
        ax = visualization.contributions(
            self.WEIGHTS, kind="line", first_epoch=6
        )
        assert lines(ax)["layer 1"][0] == [6, 7, 8]
        assert ax.get_xlim() == (6, 8)

    def test_a_single_epoch_is_visible(self):
        ax = visualization.contributions([[0.4, 0.6]])
        assert ax.collections[0].get_paths()[0].get_extents().width > 0

    @pytest.mark.parametrize(
        "weights, kwargs, message",
        [
            ([], {}, "never recorded"),
            ([0.5, 0.5], {}, r"one epoch's.*\(2,\)"),
            ([[0.5, float("nan")]], {}, "finite"),
            ([[0.5, -0.1]], {}, "kind='line'"),
            ([[0.5, 0.5]], {"names": ["one"]}, "1 names"),
            ([[0.5, 0.5]], {"kind": "pie"}, "pie"),
        ],
    )
    def test_bad_input(self, weights, kwargs, message):
        with pytest.raises(ValueError, match=message):
            visualization.contributions(weights, **kwargs)


def test_labels_are_spread_as_little_as_it_takes():
    assert spread([], 1.0) == []
    assert spread([5.0, 1.0], 1.0) == [5.0, 1.0]
    assert spread([2.0, 2.0], 1.0) == [1.5, 2.5]
    assert spread([0.0, 0.0, 5.0], 1.0, 0.0, 4.0) == [0.0, 1.0, 4.0]
    np.testing.assert_allclose(
        spread([2.0, 0.0, 2.0, 2.1], 1.0), [31 / 30, 0.0, 61 / 30, 91 / 30]
    )
