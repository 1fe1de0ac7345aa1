import pytest
from matplotlib import colormaps
from matplotlib.colors import to_rgba

from keras_ff import visualization
from keras_ff.visualization._parallel_coordinates import UNUSED

pytestmark = pytest.mark.only_on("torch")

POINTS = [
    {"method": "caw", "rate": 0.1, "temperature": 5.0},
    {"method": "prototype", "rate": 0.001},
    {"method": "caw", "rate": 0.01, "temperature": 1.0},
]
SCORES = [0.9, 0.8, 0.7]


def test_draws_what_it_was_given():
    ax = visualization.parallel_coordinates(POINTS, SCORES)
    # From worst to best, so that the best lies on top.
    worst, middle, best = [
        line for line in ax.get_lines() if len(line.get_xdata()) == 4
    ]
    assert list(best.get_ydata()) == pytest.approx([0.25, 1, 1, 1])
    assert list(middle.get_ydata()) == pytest.approx([0.75, 0, UNUSED, 0.5])
    # Rates span a factor of 100: their scale is logarithmic.
    assert list(worst.get_ydata()) == pytest.approx([0.25, 0.5, 0, 0])
    viridis = colormaps["viridis"]
    assert to_rgba(worst.get_color()) == viridis(0.0)
    assert to_rgba(best.get_color()) == viridis(0.9)
    labels = [label.get_text() for label in ax.get_xticklabels()]
    assert labels == ["method", "rate", "temperature", "validation\naccuracy"]
    assert ax.get_xlabel() and ax.get_ylabel()
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["not used", "low", "high"]
    texts = {text.get_text() for text in ax.texts}
    assert {"caw", "prototype", "0.001", "0.01", "0.1", "1", "5"} <= texts
    assert {"70 %", "80 %", "90 %"} <= texts


def test_one_trial_and_constant_columns():
    ax = visualization.parallel_coordinates(
        [{"batch_size": 32, "shuffle": True}], [0.5], score_name="loss"
    )
    (line,) = [x for x in ax.get_lines() if len(x.get_xdata()) == 3]
    assert list(line.get_ydata()) == [0.5, 0.5, 0.5]
    assert {text.get_text() for text in ax.texts} == {"32", "True", "0.5"}


@pytest.mark.parametrize("points", [[], POINTS[:2]])
def test_lengths_must_agree(points):
    with pytest.raises(
        ValueError, match=f"Received: {len(points)} points and 3 scores"
    ):
        visualization.parallel_coordinates(points, SCORES)


def test_failed_trial():
    with pytest.raises(ValueError, match="leave out the trials that failed"):
        visualization.parallel_coordinates(POINTS[:2], [0.5, None])
