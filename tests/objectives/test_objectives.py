"""The local objectives against NumPy, written from the papers' formulas."""

import json

import keras
import numpy as np
import pytest
from keras import ops
from reference import numpy_reference as ref
from reference.arrays import normal
from reference.arrays import numpy
from reference.arrays import perturb
from reference.backend import gradients

from keras_ff import objectives
from keras_ff import testing

CLASSES = 4
# Two samples are alone of their class.
ALONE = [2, 5]
LABELS = np.array([0, 1, 2, 1, 0, 3, 1, 0])
ROWS = np.eye(CLASSES, dtype="float32")[LABELS]
ONES = np.ones(len(LABELS), "float32")
SHAPES = {"map": (6, 5, 3), "vector": (7,)}


def contrast(**kwargs):
    options = dict(units=5, pooling=2, temperature=0.3)
    return objectives.SupervisedContrast(**{**options, **kwargs})


def contrast_of(vectors, objective):
    """By the formula, of `(batch, ...)` features of weights as they are."""
    if vectors.ndim == 4:
        # Six rows and five columns: the middle column is in both cells.
        cells = [
            vectors[:, rows, columns].mean((1, 2))
            for rows in (slice(0, 3), slice(3, 6))
            for columns in (slice(0, 3), slice(2, 5))
        ]
        vectors = np.concatenate(cells, axis=1)
    kernel = numpy(objective.projection.projection.kernel)
    return vectors @ kernel


def similarity(**kwargs):
    return objectives.SimilarityMatching(**kwargs)


def similarity_of(features, objective):
    kernel = numpy(objective.kernel)
    if features.ndim == 2:
        return features @ kernel
    return ref.conv2d(features, kernel, padding="same")


def built(make, shape, **kwargs):
    objective = make(**kwargs)
    objective.build((None, *shape))
    return perturb(objective)


def expected_losses(objective, features, labels=LABELS):
    if isinstance(objective, objectives.SupervisedContrast):
        vectors = contrast_of(features, objective)
        return ref.supervised_contrast(vectors, labels, objective.temperature)
    found = ref.similarities(similarity_of(features, objective))
    wanted = ref.similarities(np.eye(CLASSES)[labels])
    return ((found - wanted) ** 2).mean(axis=1)


each_kind = pytest.mark.parametrize("make", [contrast, similarity])
each_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)


@each_kind
@each_shape
def test_losses_of_the_samples(make, shape):
    objective = built(make, shape)
    x = normal((len(LABELS), *shape), 1)
    losses = numpy(objective(x, ROWS, ONES))
    np.testing.assert_allclose(
        losses, expected_losses(objective, x), rtol=2e-5, atol=2e-6
    )
    if make is contrast:
        assert np.all(losses[ALONE] == 0)
        assert np.all(np.delete(losses, ALONE) > 0)


@each_kind
def test_gradients(make):
    shape = SHAPES["vector"]
    objective = built(make, shape)
    x = keras.Variable(normal((len(LABELS), *shape), 2))
    start = numpy(x)

    def mean_loss():
        return ops.mean(objective(ops.convert_to_tensor(x), ROWS, ONES))

    (kernel,) = objective.trainable_variables
    before = numpy(kernel).astype("float64")
    found = gradients(mean_loss, [x, kernel])

    def of_features(array):
        return expected_losses(objective, array).mean()

    def of_kernel(array):
        projected = start.astype("float64") @ array
        if make is contrast:
            losses = ref.supervised_contrast(
                projected, LABELS, objective.temperature
            )
        else:
            wanted = ref.similarities(ROWS)
            losses = (ref.similarities(projected) - wanted) ** 2
        return losses.mean()

    for gradient, fn, point in zip(
        found, (of_features, of_kernel), (start, before)
    ):
        np.testing.assert_allclose(
            gradient, ref.numeric_gradient(fn, point), rtol=2e-4, atol=2e-6
        )


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param(SHAPES["map"], id="map"),
        pytest.param(
            SHAPES["vector"], id="vector", marks=pytest.mark.only_on("torch")
        ),
    ],
)
@each_kind
def test_what_every_objective_must_do(make, shape):
    testing.check_objective(make, shape, CLASSES)


@each_kind
def test_huge_features_give_finite_losses_and_gradients(make):
    x = np.full((4, 7), 3e18, "float32")
    objective = built(
        make, (7,), **({"temperature": 0.01} if make is contrast else {})
    )
    variable = keras.Variable(x)

    def total():
        losses = objective(ops.convert_to_tensor(variable), ROWS[:4], ONES[:4])
        return ops.sum(losses)

    assert np.isfinite(numpy(total()))
    variables = [variable, *objective.trainable_variables]
    for gradient in gradients(total, variables):
        assert np.all(np.isfinite(gradient))


def test_no_class_occurs_twice():
    objective = built(contrast, (7,))
    x = keras.Variable(normal((CLASSES, 7)))

    def total():
        rows = np.eye(CLASSES, dtype="float32")
        return ops.sum(
            objective(ops.convert_to_tensor(x), rows, ONES[:CLASSES])
        )

    assert numpy(total()) == 0
    for gradient in gradients(total, [x, *objective.trainable_variables]):
        np.testing.assert_array_equal(gradient, 0)


@each_kind
def test_soft_labels(make):
    """Rows of two classes each: the products of rows weigh pairs."""
    objective = built(make, (7,))
    x = normal((3, 7), 5)
    rows = np.array([[0.5, 0.5, 0], [1, 0, 0], [0, 0.25, 0.75]], "float32")
    losses = numpy(objective(x, rows, ONES[:3]))
    if make is similarity:
        found = ref.similarities(similarity_of(x, objective))
        expected = ((found - ref.similarities(rows)) ** 2).mean(axis=1)
    else:
        p = contrast_of(x, objective).astype("float64")
        p /= np.linalg.norm(p, axis=1, keepdims=True)
        e = np.exp(p @ p.T / objective.temperature) * (1 - np.eye(3))
        surprise = -np.log(e / e.sum(1, keepdims=True) + np.eye(3))
        share = rows @ rows.T * (1 - np.eye(3))
        expected = (share * surprise).sum(1) / share.sum(1)
    np.testing.assert_allclose(losses, expected, rtol=2e-5)


def test_a_map_of_one_pixel_is_a_vector():
    objective = built(similarity, (1, 1, 7), kernel_size=1)
    x = normal((len(LABELS), 1, 1, 7), 6)
    flat = similarity_of(x, objective)[:, 0, 0]
    wanted = ref.similarities(ROWS)
    expected = ((ref.similarities(flat) - wanted) ** 2).mean(axis=1)
    np.testing.assert_allclose(
        numpy(objective(x, ROWS, ONES)), expected, rtol=2e-5
    )


@each_kind
def test_channels_first(make):
    last = built(make, SHAPES["map"])
    x = normal((len(LABELS), *SHAPES["map"]), 7)
    if make is similarity and keras.backend.backend() == "tensorflow":
        pytest.skip("TensorFlow has no such convolution on CPUs")
    first = make(data_format="channels_first")
    first.build((None, 3, 6, 5))
    for a, b in zip(first.variables, last.variables):
        value = numpy(b)
        if make is contrast:
            # The cells of a channel lie together.
            value = np.moveaxis(value.reshape(4, 3, -1), 1, 0)
            value = value.reshape(12, -1)
        a.assign(value)
    np.testing.assert_allclose(
        numpy(first(np.moveaxis(x, -1, 1), ROWS, ONES)),
        numpy(last(x, ROWS, ONES)),
        rtol=1e-5,
    )


def test_configs():
    for objective in (
        contrast(weight=0.5, name="contrast"),
        similarity(weight=np.float32(2), kernel_size=np.int64(1)),
    ):
        config = keras.saving.serialize_keras_object(objective)
        again = keras.saving.deserialize_keras_object(
            json.loads(json.dumps(config))
        )
        assert again.get_config() == objective.get_config()
        assert again.weight == objective.weight
    assert again.kernel_size == 1


@pytest.mark.parametrize(
    "kind, options, error, message",
    [
        ("SupervisedContrast", dict(weight=-1), ValueError, "weight=-1"),
        ("SupervisedContrast", dict(weight="1"), TypeError, "weight='1'"),
        ("SupervisedContrast", dict(weight=float("nan")), ValueError, "finite"),
        ("SupervisedContrast", dict(temperature=0), ValueError, "positive"),
        ("SupervisedContrast", dict(units=1), ValueError, "units=1"),
        ("SupervisedContrast", dict(units=2.0), TypeError, "units=2.0"),
        ("SupervisedContrast", dict(pooling="max"), ValueError, "pooling='max"),
        ("SimilarityMatching", dict(weight=-0.5), ValueError, "weight=-0.5"),
        ("SimilarityMatching", dict(kernel_size=0), ValueError, "size=0"),
        ("SimilarityMatching", dict(data_format="x"), ValueError, "format='x'"),
    ],
)
def test_bad_arguments(kind, options, error, message):
    with pytest.raises(error, match=message):
        getattr(objectives, kind)(**options)


def test_bad_features():
    with pytest.raises(ValueError, match=r"two axes.*\(None, 9, 3\)"):
        contrast().build((None, 9, 3))
    with pytest.raises(ValueError, match="up to three spatial"):
        similarity().build((None, 2, 2, 2, 2, 3))


@pytest.mark.parametrize(
    ("returned", "received"),
    [
        (lambda x: ops.mean(x), r"shape \(\)"),
        (lambda x: ops.mean(x, axis=-1), r"shape \(8, 6, 5\)"),
        (lambda x: None, "None of type NoneType"),
    ],
)
def test_losses_of_another_shape_are_refused(returned, received):
    class Mine(objectives.LocalObjective):
        def sample_losses(self, projection, labels, present):
            return returned(projection)

    features = normal((8, 6, 5, 3))
    with pytest.raises(ValueError, match=f"Mine.sample_losses .*{received}"):
        Mine()(features, ROWS, ONES)


def test_losses_that_are_not_there():
    class Mine(objectives.LocalObjective):
        pass

    with pytest.raises(NotImplementedError, match="Mine needs a method"):
        Mine()(normal((8, 3)), ROWS, ONES)
