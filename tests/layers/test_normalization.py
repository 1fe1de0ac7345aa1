import keras
import numpy as np
import pytest
from reference import numpy_reference as ref
from reference.arrays import normal
from reference.arrays import numpy

from keras_ff.layers.normalization import get_normalization

REFERENCES = {
    "instance": ref.instance_norm,
    "group": lambda x: ref.group_norm(x, 3),
    "layer": ref.layer_norm,
    "rms": ref.rms_norm,
}


def normalization(identifier, dtype="float32"):
    return get_normalization(identifier, num_classes=3, dtype=dtype)


@pytest.mark.parametrize("identifier", REFERENCES)
def test_maps(identifier):
    x = normal((4, 6, 5, 6), 1, scale=2.0, offset=1.0)
    layer = normalization(identifier)
    np.testing.assert_allclose(
        numpy(layer(x)), REFERENCES[identifier](x), atol=1e-5
    )
    assert layer.weights == []
    assert layer.compute_output_shape(x.shape) == x.shape


@pytest.mark.parametrize("identifier", ("group", "layer", "rms"))
def test_dense_activations(identifier):
    x = normal((4, 24), 1, scale=2.0, offset=1.0)
    np.testing.assert_allclose(
        numpy(normalization(identifier)(x)),
        REFERENCES[identifier](x),
        atol=1e-5,
    )


@pytest.mark.parametrize("identifier", REFERENCES)
def test_epsilon_decides_where_activations_are_small(identifier):
    x = normal((4, 6, 5, 6), 1, scale=3e-3)
    found = numpy(normalization(identifier)(x))
    np.testing.assert_allclose(found, REFERENCES[identifier](x), atol=1e-5)
    assert found.std() < 0.8


@pytest.mark.parametrize("identifier", REFERENCES)
def test_a_dead_activation_stays_zero(identifier):
    found = numpy(normalization(identifier)(np.zeros((2, 4, 4, 6), "float32")))
    np.testing.assert_array_equal(found, 0)


# keras.ops.moments on PyTorch computes E[x^2] - E[x]^2 in float32, which
# cancels and can be negative: NaN features from a blank image.


@pytest.mark.parametrize("value", (1.1, 33.3, 255.0))
def test_a_constant_map_is_finite(value):
    """A blank image gives every channel the same value everywhere."""
    x = np.full((3, 7, 9, 6), value, "float32")
    for identifier in ("instance", "group", "layer"):
        found = numpy(normalization(identifier)(x))
        assert np.all(np.isfinite(found)), identifier
        # Nothing but round-off, at most enlarged by 1 / sqrt(epsilon).
        assert np.abs(found).max() <= value * 2.0**-17 / np.sqrt(1e-5)


@pytest.mark.parametrize(
    "identifier",
    [
        "instance",
        "group",
        "layer",
        "rms",
    ],
)
def test_a_mean_far_from_zero(identifier):
    """Variance must not be computed as E[x^2] - E[x]^2."""
    x = normal((4, 6, 5, 6), 1, offset=100.0)
    np.testing.assert_allclose(
        numpy(normalization(identifier)(x)),
        REFERENCES[identifier](x),
        atol=2e-4,
    )


@pytest.mark.parametrize("identifier", REFERENCES)
def test_statistics_are_float32_under_mixed_precision(identifier):
    x = (normal((4, 6, 5, 6), 1) * 400).astype("float16")
    found = normalization(identifier, "mixed_float16")(x)
    assert keras.backend.standardize_dtype(found.dtype) == "float16"
    np.testing.assert_allclose(
        numpy(found), REFERENCES[identifier](x), atol=0.003
    )


def test_none_and_layers_are_passed_through():
    assert normalization(None) is None
    layer = keras.layers.UnitNormalization()
    assert normalization(layer) is layer


@pytest.mark.parametrize("identifier", ("batch", "", "Instance", 7, ["rms"]))
def test_unknown(identifier):
    with pytest.raises(ValueError, match="must be one of.*instance.*Received"):
        normalization(identifier)


def test_group_without_a_number_of_classes():
    with pytest.raises(ValueError, match="num_classes"):
        get_normalization("group", num_classes=None, dtype="float32")


@pytest.mark.parametrize(
    ("identifier", "shape"),
    [("instance", (4, 1, 1, 6)), ("group", (4, 1, 1, 3))],
)
def test_a_group_of_one_number_passes_where_there_is_a_map(identifier, shape):
    """It would become zero: the next layer would have nothing to see."""
    x = normal(shape, 1)
    layer = normalization(identifier)
    np.testing.assert_array_equal(numpy(layer(x)), x)


@pytest.mark.parametrize(
    ("identifier", "units"), [("instance", 6), ("group", 3), ("layer", 1)]
)
def test_a_unit_that_is_a_group_is_refused(identifier, units):
    with pytest.raises(ValueError, match=f"zero.*'rms' or None.*{units} units"):
        normalization(identifier)(normal((4, units), 1))


def test_a_map_of_unknown_size_may_be_one_pixel():
    layer = get_normalization("instance", 3, "float32", "channels_last")
    layer.build((None, None, None, 4))
    pixel = normal((2, 1, 1, 4), 1)
    np.testing.assert_array_equal(numpy(layer(pixel)), pixel)
    images = normal((2, 3, 2, 4), 2)
    known = get_normalization("instance", 3, "float32", "channels_last")
    np.testing.assert_allclose(
        numpy(layer(images)), numpy(known(images)), rtol=1e-6
    )
