import keras
import numpy as np
import pytest
from reference import numpy_reference as ref
from reference.arrays import normal
from reference.arrays import numpy
from reference.backend import gradients

from keras_ff import layers
from keras_ff.initializers import MaximallySeparated


def built(shape=(None, 6), **kwargs):
    head = layers.HypersphericalPrototypes(3, **kwargs)
    head.build(shape)
    return head


def test_prototypes_and_embeddings_lie_on_the_sphere():
    head = built(prototypes_per_class=2)
    assert tuple(head.prototypes.shape) == (3, 2, 6)
    lengths = np.linalg.norm(numpy(head.unit_prototypes()), axis=-1)
    np.testing.assert_allclose(lengths, 1.0, rtol=1e-6)
    x = normal((5, 6), 1, scale=100.0)
    embedded = numpy(head.embed(x))
    np.testing.assert_allclose(
        embedded, x / np.linalg.norm(x, axis=-1, keepdims=True), rtol=1e-5
    )
    assert tuple(head.cosines(x).shape) == (5, 3, 2)
    assert np.abs(numpy(head.cosines(x))).max() <= 1 + 1e-6


def test_the_length_of_a_prototype_does_not_matter():
    head = built()
    x = normal((5, 6), 1)
    before = numpy(head(x))
    head.prototypes.assign(100 * numpy(head.prototypes))
    np.testing.assert_allclose(numpy(head(x)), before, atol=1e-6)


def test_zero_activation_has_score_and_gradient_zero():
    """Its slope, 1 / epsilon, would overflow in float16."""
    head = built()
    start = normal((3, 6), 1)
    start[0] = 0.0
    x = keras.Variable(start)
    np.testing.assert_array_equal(numpy(head(x.value))[0], 0.0)
    at_x, at_prototypes = gradients(
        lambda: keras.ops.sum(head(x.value)), [x, head.prototypes]
    )
    np.testing.assert_array_equal(at_x[0], 0.0)
    expected = ref.numeric_gradient(
        lambda a: ref.prototype_scores(a, numpy(head.prototypes), 10.0).sum(),
        start[1:],
    )
    np.testing.assert_allclose(at_x[1:], expected, atol=1e-5)
    assert np.isfinite(at_prototypes).all()


def test_several_prototypes_score_between_their_best_and_its_bound():
    head = built(prototypes_per_class=4, beta=50.0)
    x = normal((5, 6), 1)
    best = numpy(head.cosines(x)).max(axis=-1)
    score = numpy(head(x))
    assert np.all(score >= best - 1e-6)
    assert np.all(score <= best + np.log(4) / 50.0 + 1e-6)


@pytest.mark.parametrize(
    "initializer", ["random_normal", "orthogonal", MaximallySeparated()]
)
def test_initializers(initializer):
    head = built((None, 16), prototype_initializer=initializer)
    prototypes = numpy(head.unit_prototypes())[:, 0]
    cosines = (prototypes @ prototypes.T)[np.triu_indices(3, 1)]
    if initializer == "orthogonal":
        np.testing.assert_allclose(cosines, 0.0, atol=1e-5)
    elif initializer != "random_normal":
        np.testing.assert_allclose(cosines, -0.5, atol=1e-5)


def test_fixed_prototypes_do_not_train():
    head = built(learnable_prototypes=False)
    assert head.trainable_variables == []
    assert len(head.non_trainable_variables) == 1


class TestAdapt:
    labels = np.array([0, 0, 1, 1, 1])

    def test_one_prototype_is_the_mean_direction(self):
        head = built()
        before = numpy(head.prototypes)
        x = normal((5, 6), 1)
        x[4] = 0.0
        head.adapt(x, self.labels)
        unit = x[:4] / np.linalg.norm(x[:4], axis=-1, keepdims=True)
        for k, mean in enumerate((unit[:2].mean(0), unit[2:].mean(0))):
            np.testing.assert_allclose(
                numpy(head.prototypes)[k, 0],
                mean / np.linalg.norm(mean),
                atol=1e-6,
            )
        # No sample of class 2.
        np.testing.assert_array_equal(numpy(head.prototypes)[2], before[2])

    def test_several_prototypes_find_the_clusters(self):
        head = built(prototypes_per_class=2)
        corners = np.eye(6)[:2]
        x = corners[[0, 1, 1, 0, 1, 0]] + normal((6, 6), 3, scale=0.01)
        head.adapt(x, np.full(6, 1))
        found = numpy(head.prototypes)[1] @ corners.T
        np.testing.assert_allclose(np.sort(found.ravel())[2:], 1.0, atol=1e-2)

    @pytest.mark.parametrize("order", ["mixed", "sorted", "in_turn"])
    def test_clusters_of_unlike_size(self, order):
        """However the samples come, every cluster has its prototype."""
        corners = np.eye(6)[:4]
        sizes = (40, 12, 5, 3)
        cluster = np.repeat(np.arange(4), sizes)
        if order != "sorted":
            rng = np.random.default_rng(0)
            cluster = rng.permutation(cluster)
        if order == "in_turn":
            # Every fourth sample is of each cluster alike.
            cluster = np.tile(np.repeat(np.arange(4), 4), 4)
        x = corners[cluster] + normal((len(cluster), 6), 3, scale=0.02)
        head = built(prototypes_per_class=4)
        head.adapt(x, np.full(len(x), 1))
        unit = x / np.linalg.norm(x, axis=-1, keepdims=True)
        means = np.stack([unit[cluster == j].mean(0) for j in range(4)])
        means /= np.linalg.norm(means, axis=-1, keepdims=True)
        found = numpy(head.prototypes)[1] @ means.T
        # One of them is at each mean.
        np.testing.assert_allclose(found.max(axis=0), 1.0, atol=1e-5)
        assert sorted(found.argmax(axis=0)) == [0, 1, 2, 3]

    def test_more_prototypes_than_samples(self):
        head = built(prototypes_per_class=3, prototype_initializer="zeros")
        x = np.eye(6)[[0, 0, 1]]
        head.adapt(x, np.full(3, 1))
        found = numpy(head.prototypes)[1]
        assert np.all(np.isfinite(found))
        np.testing.assert_allclose(
            np.sort((found @ np.eye(6)[:2].T).ravel()), [0, 0, 0, 0, 1, 1]
        )

    def test_wrong_number_of_labels(self):
        with pytest.raises(ValueError, match="5 samples, 4 labels"):
            built().adapt(normal((5, 6)), self.labels[:4])


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        (dict(num_classes=1), ValueError, "at least 2. Received"),
        (dict(num_classes=3.0), ValueError, "integer of at least 2"),
        (dict(prototypes_per_class=0), ValueError, "at least 1"),
        (dict(prototypes_per_class=1.5), TypeError, "an integer"),
        (dict(beta=0.0), ValueError, "`beta` must be positive"),
        (dict(epsilon=-1.0), ValueError, "`epsilon` must be positive"),
        (dict(pooling="max"), ValueError, "`pooling` must be"),
        (dict(pooling=0), ValueError, "`pooling` must be"),
        (dict(embedding=8), TypeError, "`embedding` must be a Keras layer"),
        (dict(data_format="last"), ValueError, "`data_format` must be"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        layers.HypersphericalPrototypes(**{"num_classes": 3, **arguments})


def test_numpy_integers_are_integers():
    head = layers.HypersphericalPrototypes(np.int64(3), np.int32(2))
    assert head.get_config()["num_classes"] == 3


def test_grid_needs_a_map():
    with pytest.raises(ValueError, match="map with two axes"):
        built((None, 5, 6), pooling=2)


def test_flatten_needs_a_known_size():
    with pytest.raises(ValueError, match="maps of known size"):
        built((None, None, None, 6), pooling="flatten")
