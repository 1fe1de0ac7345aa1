import sys

import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex

import keras_ff
from keras_ff import visualization
from keras_ff.visualization.channel_order import channel_order

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
    assert channel_order(SHARES).tolist() == ORDER


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
        vmax=0.5,
    )
    assert ax.images[0].get_clim() == (0, 0.5)
    assert drawn is ax and ax.images[0].colorbar is None
    np.testing.assert_allclose(heat_map(ax), SHARES[::-1])
    assert [t.get_text() for t in ax.get_xticklabels()] == ["cat", "dog"]


def test_takes_a_layer():
    layer = caw_layer()
    layer.build((None, 8, 8, 1))
    shares = keras.ops.convert_to_numpy(layer.head.shares())
    order = channel_order(layer)
    for given in (layer, layer.head, layer.head.shares()):
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
        (SHARES, {"vmax": 0}, "vmax=0"),
        (SHARES, {"vmax": 2}, "vmax=2"),
    ],
)
def test_bad_input(shares, kwargs, message):
    with pytest.raises(ValueError, match=message):
        visualization.assignment(shares, **kwargs)


def test_missing_matplotlib_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r'pip install "keras_ff\[plot\]"'):
        visualization.assignment(SHARES)


class TestSpecialization:
    NONE = np.full((3, 4), 0.25)
    FULL = np.eye(4)

    def test_draws_what_the_formulas_say(self):
        half = np.array([[0.5, 0.5, 0, 0], [1, 0, 0, 0]])
        ax = visualization.specialization([self.NONE, half, self.FULL])
        drawn = {line.get_label(): line.get_ydata() for line in ax.get_lines()}
        np.testing.assert_allclose(drawn["specialization"], [0.25, 0.75, 1])
        # ln 2 of ln 4 for one of two channels, 0 for the other.
        np.testing.assert_allclose(drawn["entropy"], [1, 0.25, 0], atol=1e-12)
        assert [t.get_text() for t in ax.get_xticklabels()] == [
            "layer 1",
            "layer 2",
            "layer 3",
        ]

    def test_takes_a_model_and_its_layers(self):
        model = mixed_model()
        for given in (model, [model.local_layers[1]]):
            ax = visualization.specialization(given)
            assert [t.get_text() for t in ax.get_xticklabels()] == ["second"]
            shares = keras.ops.convert_to_numpy(
                model.local_layers[1].head.shares()
            )
            line = ax.get_lines()[0]
            np.testing.assert_allclose(
                line.get_ydata(), [shares.max(axis=1).mean()], rtol=1e-6
            )

    def test_bad_input(self):
        draw = visualization.specialization
        model = mixed_model()
        with pytest.raises(ValueError, match="must not be empty"):
            draw([])
        with pytest.raises(ValueError, match="1 names"):
            draw([self.NONE, self.FULL], ["one"])
        with pytest.raises(TypeError, match="'first'"):
            draw(model.local_layers)
        with pytest.raises(ValueError, match="no weights yet"):
            draw([caw_layer()])
        model = keras_ff.models.ForwardOnlyModel(
            [keras.Input((3,)), first_layer()]
        )
        with pytest.raises(ValueError, match=r"no local layer.*\['first'\]"):
            draw(model)
        with pytest.raises(ValueError, match="no local layer"):
            draw(keras.Sequential([keras.layers.Dense(2)]))


class TestClassActivation:
    def test_draws_pooled_activity_in_the_order_of_the_classes(self):
        noise = keras.initializers.RandomNormal(0.5, 20.0, seed=1)
        model = keras_ff.models.ForwardOnlyModel(
            [
                keras.Input((6, 6, 2)),
                keras_ff.layers.CAWConv2D(4, 3, num_classes=2, dropout=0),
                keras.layers.AveragePooling2D(2),
                keras_ff.layers.CAWConv2D(
                    6,
                    2,
                    num_classes=2,
                    dropout=0,
                    assignment_initializer=noise,
                    name="last",
                ),
            ]
        )
        layer = model.local_layers[-1]
        image = np.random.default_rng(0).normal(size=(6, 6, 2))
        image = image.astype("float32")
        ax = visualization.class_activation(model, "last", image, ["a", "b"])
        # The same by hand: the features of the first layer, then its map.
        features, _ = model.local_layers[0](image[None])
        features = keras.layers.AveragePooling2D(2)(features)
        maps = keras.ops.convert_to_numpy(layer.activate(features))[0]
        activity = (
            0.94 * maps.mean(axis=(0, 1))
            + 0.06 * maps.max(axis=(0, 1))
            - 0.05 * maps.min(axis=(0, 1))
        )
        order = channel_order(layer)
        heights = [bar.get_height() for bar in ax.patches]
        np.testing.assert_allclose(heights, activity[order], rtol=1e-4)
        shares = keras.ops.convert_to_numpy(layer.head.shares())
        predicted = np.argmax(activity @ shares)
        assert ax.texts[0].get_text() == f"predicted by last: {'ab'[predicted]}"
        of_class = shares.argmax(axis=1)[order] == predicted
        red = [to_hex(bar.get_facecolor()) == "#d55e00" for bar in ax.patches]
        assert red == of_class.tolist()
        assert visualization.class_activation(model, layer, image, ax=ax) is ax

    def test_bad_input(self):
        draw = visualization.class_activation
        model, image = mixed_model(), np.zeros(3)
        with pytest.raises(TypeError, match="Sequential"):
            draw(keras.Sequential(), "second", image)
        with pytest.raises(ValueError, match="'first', 'second'.*'third'"):
            draw(model, "third", image)
        with pytest.raises(TypeError, match="'first'"):
            draw(model, "first", image)
        with pytest.raises(ValueError, match=r"without a batch.*\(1, 3\)"):
            draw(model, "second", image[None])
        with pytest.raises(ValueError, match="1 names"):
            draw(model, "second", image, ["a"])


def first_layer():
    return keras_ff.layers.LocalBlock(
        [keras.layers.Dense(3)],
        keras_ff.layers.GoodnessProjection(2),
        name="first",
    )


def mixed_model():
    """A layer without an assignment, then one with it."""
    return keras_ff.models.ForwardOnlyModel(
        [
            keras.Input((3,)),
            first_layer(),
            keras_ff.layers.CAWDense(
                4,
                2,
                assignment_initializer="random_normal",
                name="second",
            ),
        ]
    )
