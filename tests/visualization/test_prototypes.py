import keras
import numpy as np
import pytest

import keras_ff
from keras_ff import visualization
from keras_ff.visualization.directions import separation

RNG = np.random.default_rng(0)
PROTOTYPES = RNG.normal(size=(4, 2, 6))


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def layer(**kwargs):
    return keras_ff.layers.PrototypeDense(5, num_classes=3, **kwargs)


class TestSimilarity:
    def test_draws_cosines(self):
        ax = visualization.prototype_similarity(PROTOTYPES, list("abcd"))
        flat = unit(PROTOTYPES).reshape(8, 6)
        np.testing.assert_allclose(ax.images[0].get_array(), flat @ flat.T)
        assert ax.images[0].get_clim() == (-1, 1)
        assert ax.images[0].colorbar.ax.get_ylabel() == "cosine"
        assert ax.get_xticks().tolist() == [0.5, 2.5, 4.5, 6.5]
        assert [t.get_text() for t in ax.get_yticklabels()] == list("abcd")

    def test_takes_one_prototype_a_class_and_a_layer(self):
        one = PROTOTYPES[:, 0]
        ax = visualization.prototype_similarity(one, colorbar=False)
        np.testing.assert_allclose(
            ax.images[0].get_array(), unit(one) @ unit(one).T
        )
        assert ax.images[0].colorbar is None
        built = layer(embedding_size=None)
        built.build((None, 2))
        vectors = keras.ops.convert_to_numpy(built.prototypes)[:, 0]
        for given in (built, built.head, built.prototypes):
            drawn = visualization.prototype_similarity(given).images[0]
            np.testing.assert_allclose(
                drawn.get_array(), unit(vectors) @ unit(vectors).T, atol=1e-5
            )


class TestPrototypes:
    def test_distances_are_those_of_the_plane_with_most_variance(self):
        # Three dimensions, of which the third hardly varies.
        points = RNG.normal(size=(9, 3)) * [1, 1, 1e-3]
        points = unit(points)
        labels = np.arange(9) % 4
        ax = visualization.prototypes(unit(PROTOTYPES[..., :3]), points, labels)
        dots, stars = ax.collections[::2], ax.collections[1::2]
        everything = np.concatenate(
            [unit(PROTOTYPES[..., :3]).reshape(-1, 3), points]
        )
        centered = everything - everything.mean(axis=0)
        variances, axes = np.linalg.eigh(centered.T @ centered)
        expected = centered @ axes[:, :0:-1]
        for k in range(4):
            for drawn, there in (
                (stars[k], expected[:8][[2 * k, 2 * k + 1]]),
                (dots[k], expected[8:][labels == k]),
            ):
                offsets = np.array(drawn.get_offsets())
                # Components have no sign.
                np.testing.assert_allclose(
                    np.abs(offsets), np.abs(there), atol=1e-9
                )
        share = variances[::-1] / variances.sum()
        assert ax.get_xlabel().startswith(
            f"first component ({100 * share[0]:.0f} %"
        )
        assert ax.get_ylabel().startswith(
            f"second component ({100 * share[1]:.0f} %"
        )

    def test_names_and_colors(self):
        far = np.eye(9, 9) + 0.01 * RNG.normal(size=(9, 9))
        ax = visualization.prototypes(far[:, :2] - 0.3, class_names="abcdefghi")
        looks = {
            (tuple(c.get_facecolor()[0]), c.get_paths()[0].vertices.shape)
            for c in ax.collections[1::2]
        }
        assert len(looks) == 9
        labels = [c.get_label() for c in ax.collections[1::2]]
        assert labels == list("abcdefghi")
        assert {t.get_text() for t in ax.texts} <= set("abcdefghi")


@pytest.mark.parametrize(
    "draw", [visualization.prototypes, visualization.prototype_similarity]
)
def test_no_prototypes(draw):
    with pytest.raises(ValueError, match=r"\(6,\)"):
        draw(np.ones(6))
    with pytest.raises(ValueError, match=r"\(0, 6\)"):
        draw(np.ones((0, 6)))
    with pytest.raises(ValueError, match="norm 0"):
        draw([[1.0, 0.0], [0.0, 0.0]])
    with pytest.raises(ValueError, match="norm nan"):
        draw([[1.0, 0.0], [float("nan"), 0.0]])
    with pytest.raises(ValueError, match="4 in all.*1 names"):
        draw(PROTOTYPES, class_names=["a"])
    with pytest.raises(ValueError, match="no weights yet"):
        draw(layer())
    with pytest.raises(TypeError, match="Dense"):
        draw(keras.layers.Dense(2))
    with pytest.raises(TypeError, match="CAWDense"):
        draw(keras_ff.layers.CAWDense(4, 2))


@pytest.mark.parametrize(
    "embeddings, labels, message",
    [
        (np.ones((3, 6)), None, "no labels"),
        (None, [0], "no embeddings"),
        (np.ones((3, 5)), [0, 1, 2], r"\(samples, 6\).*\(3, 5\)"),
        (np.ones((3, 6)), [0, 1], r"3 in all.*\(2,\)"),
        (np.ones((3, 6)), [0, 1, 4], r"\[0, 4\).*4"),
        (np.ones((3, 6)), [0, 1, 0.5], "0.5"),
    ],
)
def test_bad_samples(embeddings, labels, message):
    with pytest.raises(ValueError, match=message):
        visualization.prototypes(PROTOTYPES, embeddings, labels)


def test_a_single_point_has_no_components():
    with pytest.raises(ValueError, match="1 points of 6"):
        visualization.prototypes(np.ones((1, 6)))


def test_separation_is_the_angle_to_the_nearest_other_class():
    angles = np.radians([0, 10, 90, 100, 210, 230])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    # Prototypes of 0 and 10, of 90 and 100, of 210 and 230 degrees.
    np.testing.assert_allclose(
        separation(vectors.reshape(3, 2, 2)),
        np.mean([90, 80, 80, 90, 110, 130]),
    )
