import sys

import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest

import keras_ff
from keras_ff import visualization

SHARES = np.array(
    [[0.1, 0.9], [0.6, 0.4], [0.8, 0.2], [0.0, 1.0]], dtype="float32"
)
ORDER = [2, 1, 3, 0]


def caw_layer():
    return keras_ff.layers.CAWConv2D(
        4, 3, num_classes=2, assignment_initializer="random_normal"
    )


def heat_map(ax):
    return np.array(ax.images[0].get_array())


def test_order_is_by_dominant_class_and_strength():
    assert visualization.channel_order(SHARES).tolist() == ORDER


def test_draws_the_sorted_channels():
    ax = visualization.assignment(SHARES)
    np.testing.assert_allclose(heat_map(ax), SHARES[ORDER])
    assert ax.get_xlabel() == "class"
    assert ax.get_ylabel() == "channel, sorted by its class"
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0", "1"]
    assert ax.images[0].get_clim() == (0, 1)
    assert ax.images[0].colorbar.ax.get_ylabel() == "share of the channel"


def test_takes_an_order_names_and_axes():
    _, ax = plt.subplots()
    drawn = visualization.assignment(
        SHARES,
        ax,
        order=[3, 2, 1, 0],
        class_names=["cat", "dog"],
        colorbar=False,
    )
    assert drawn is ax and ax.images[0].colorbar is None
    np.testing.assert_allclose(heat_map(ax), SHARES[::-1])
    assert [t.get_text() for t in ax.get_xticklabels()] == ["cat", "dog"]


def test_takes_a_layer():
    layer = caw_layer()
    layer.build((None, 8, 8, 1))
    shares = keras.ops.convert_to_numpy(layer.goodness.shares())
    order = visualization.channel_order(layer)
    for given in (layer, layer.goodness, layer.goodness.shares()):
        drawn = heat_map(visualization.assignment(given))
        np.testing.assert_allclose(drawn, shares[order], rtol=1e-6)


def test_layer_without_weights_or_assignment():
    with pytest.raises(ValueError, match="no weights yet"):
        visualization.assignment(caw_layer())
    with pytest.raises(TypeError, match="Dense"):
        visualization.assignment(keras.layers.Dense(2))


@pytest.mark.parametrize(
    "shares, kwargs, message",
    [
        (SHARES[0], {}, r"\(2,\)"),
        (np.zeros((0, 2)), {}, r"\(0, 2\)"),
        (2 * SHARES, {}, "row sums from 2 to 2"),
        ([[-0.5, 1.5]], {}, "from -0.5 to 1.5"),
        ([[float("nan"), 1.0]], {}, "nan"),
        (SHARES, {"order": [0, 1, 2]}, "from 0 to 3"),
        (SHARES, {"order": [0, 1, 2, 2]}, "from 0 to 3"),
        (SHARES, {"class_names": ["cat"]}, "1 names"),
    ],
)
def test_bad_input(shares, kwargs, message):
    with pytest.raises(ValueError, match=message):
        visualization.assignment(shares, **kwargs)


def test_missing_matplotlib_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r'pip install "keras_ff\[plot\]"'):
        visualization.assignment(SHARES)
