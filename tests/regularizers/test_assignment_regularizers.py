import keras
import numpy as np
import pytest
from reference import numpy_reference as ref
from reference.arrays import normal
from reference.arrays import numpy
from reference.backend import gradients

from keras_ff import regularizers

ENTROPY = regularizers.AssignmentEntropy
ORTHOGONALITY = regularizers.AssignmentOrthogonality
REFERENCES = {ENTROPY: ref.entropy, ORTHOGONALITY: ref.orthogonality}
M = ref.softmax(normal((7, 3), 1, scale=2.0).astype("float64"))
each = pytest.mark.parametrize("make", (ENTROPY, ORTHOGONALITY))


def value(regularizer, m=M, epoch=None):
    m = keras.ops.convert_to_tensor(m, "float32")
    return float(numpy(regularizer(m, epoch)))


@each
@pytest.mark.parametrize("scale", ("published", "normalized"))
@pytest.mark.parametrize("channels", (4, 7, 100))
def test_value(make, scale, channels):
    m = ref.softmax(normal((channels, 3), 4, scale=2.0).astype("float64"))
    found = value(make(0.6, 0, scale), m)
    assert found == pytest.approx(0.6 * REFERENCES[make](m, scale), rel=1e-5)


def test_entropy_of_known_assignments():
    uniform = np.full((100, 10), 0.1)
    assert value(ENTROPY(), uniform) == pytest.approx(0.230, abs=5e-4)
    full = ENTROPY(1.0, scale="normalized")
    assert value(full, uniform) == pytest.approx(np.log(10.0), rel=1e-5)
    assert value(full, np.eye(10)) == pytest.approx(0.0, abs=1e-6)


def test_orthogonality_of_known_assignments():
    full = ORTHOGONALITY(1.0, 0, "normalized")
    assert value(full, np.eye(10)) == pytest.approx(0.0, abs=1e-6)
    # Equal columns: the Gram matrix is all ones.
    uniform = np.full((100, 10), 0.1)
    assert value(full, uniform) == pytest.approx(0.9, rel=1e-5)
    # As published: numerically nil.
    assert value(ORTHOGONALITY(), uniform) == pytest.approx(9e-8, rel=1e-4)


@each
def test_a_class_without_channels_is_finite(make):
    m = np.zeros((5, 3))
    m[:, 0] = 1.0
    for scale in ("published", "normalized"):
        found = value(make(1.0, 0, scale), m)
        assert found == pytest.approx(REFERENCES[make](m, scale), abs=1e-6)


@each
@pytest.mark.parametrize("scale", ("published", "normalized"))
def test_gradient_where_a_class_has_no_channel(make, scale):
    """A softmax that underflows leaves columns of zeros."""
    m = M.copy()
    m[:, 0] += m[:, 2]
    m[:, 2] = 0.0
    x = keras.Variable(m)
    (found,) = gradients(lambda: make(2.0, 0, scale)(x.value), [x])
    expected = ref.numeric_gradient(
        lambda a: (
            2.0 * REFERENCES[make](np.concatenate([a, m[:, 2:]], axis=1), scale)
        ),
        m[:, :2],
    )
    np.testing.assert_allclose(found[:, :2], expected, rtol=1e-3, atol=1e-6)
    assert np.all(np.isfinite(found))


@each
@pytest.mark.parametrize(
    ("epoch", "ramp"),
    [(0, 0.0), (1, 0.02), (25, 0.5), (50, 1.0), (51, 1.0), (999, 1.0)],
)
def test_warm_up(make, epoch, ramp):
    full = 0.3 * REFERENCES[make](M)
    found = value(make(0.3, warmup_epochs=50), epoch=epoch)
    assert found == pytest.approx(full * ramp, rel=1e-5)


@each
def test_full_strength_without_an_epoch_or_warm_up(make):
    full = 0.3 * REFERENCES[make](M)
    assert value(make(0.3, warmup_epochs=50)) == pytest.approx(full, rel=1e-5)
    assert value(make(0.3, 0), epoch=0) == pytest.approx(full, rel=1e-5)


def test_published_defaults():
    assert value(ENTROPY(), epoch=0) == pytest.approx(
        1e-2 * ref.entropy(M), rel=1e-5
    )
    assert value(ORTHOGONALITY(), epoch=10) == pytest.approx(
        1e-3 * 10 / 50 * ref.orthogonality(M), rel=1e-5
    )


@each
def test_factor_zero(make):
    assert value(make(0.0)) == 0.0


@each
def test_config_round_trip(make):
    regularizer = make(0.4, warmup_epochs=7, scale="normalized")
    config = keras.regularizers.serialize(regularizer)
    copy = keras.regularizers.get(config)
    assert type(copy) is make
    assert copy.get_config() == {
        "factor": 0.4,
        "warmup_epochs": 7,
        "scale": "normalized",
    }
    expected = 0.4 * 3 / 7 * REFERENCES[make](M, "normalized")
    assert value(copy, epoch=3) == pytest.approx(expected, rel=1e-5)


@each
@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"factor": -0.1}, "factor=-0.1"),
        ({"warmup_epochs": -1}, "warmup_epochs=-1"),
        ({"scale": "mine"}, "scale='mine'"),
        ({"scale": None}, "scale=None"),
    ],
)
def test_bad_arguments(make, kwargs, message):
    with pytest.raises(ValueError, match=message):
        make(**kwargs)


def test_a_penalty_of_ones_own():
    class Peak(regularizers.AssignmentRegularizer):
        def penalty(self, assignment):
            return keras.ops.max(assignment)

    found = value(Peak(2.0, warmup_epochs=4), epoch=1)
    assert found == pytest.approx(2.0 * 0.25 * M.max(), rel=1e-6)
    with pytest.raises(NotImplementedError):
        value(regularizers.AssignmentRegularizer(1.0))
