"""What every goodness head must do. The heads are in `cases.py`."""

import keras
import numpy as np
import pytest
from cases import HEADS
from cases import MIXED
from cases import NUM_CLASSES
from cases import batch
from cases import built_head
from cases import dtype_of
from keras import ops
from reference.arrays import numpy
from reference.arrays import perturb

from keras_ff import testing

each_head = pytest.mark.parametrize("name", HEADS)
each_policy = pytest.mark.parametrize("policy", ("float32", *MIXED))
once = pytest.mark.only_on("torch")
EVERYWHERE = ("prototypes_several", "groups_sequence", "assignment")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in EVERYWHERE else [once])
        for name in HEADS
    ],
)
def test_what_every_head_must_do(name):
    case = HEADS[name]
    held = testing.check_goodness_head(case.make, case.input_shape, NUM_CLASSES)
    assert ("masks" in held) == (len(case.input_shape) == 2)


@each_policy
@each_head
def test_head_scores(name, policy):
    """In float32 whatever the policy: inputs are exact in bfloat16."""
    keras.config.set_dtype_policy(policy)
    case = HEADS[name]
    head = built_head(name)
    x = np.round(batch(case.input_shape, 2) * 16) / 16
    goodness = head(ops.convert_to_tensor(x))
    assert dtype_of(goodness) == "float32"
    np.testing.assert_allclose(
        numpy(goodness),
        case.reference(head, x.astype("float64")),
        atol=2e-6,
        rtol=2e-6,
    )


# On the others Keras's own operations give float32.
@pytest.mark.only_on("tensorflow")
@each_head
def test_head_scores_in_float64(name):
    keras.config.set_dtype_policy("float64")
    case = HEADS[name]
    head = case.make()
    if getattr(head, "embedding", None):
        pytest.skip("the embedding is float32")
    head.build((None, *case.input_shape))
    perturb(head)
    for variable in head.weights:
        # What the reference reads in float32 is then all of it.
        variable.assign(numpy(variable))
    x = batch(case.input_shape, 2).astype("float64")
    goodness = head(ops.convert_to_tensor(x))
    assert dtype_of(goodness) == "float64"
    np.testing.assert_allclose(
        ops.convert_to_numpy(goodness),
        case.reference(head, x),
        atol=1e-9,
        rtol=1e-9,
    )


@each_head
def test_head_scores_channels_first(name):
    case = HEADS[name]
    keras.config.set_image_data_format("channels_first")
    head = case.make()
    if getattr(head, "pooling", None) in ("flatten", 2):
        pytest.skip("flattening depends on the order of the axes")
    if getattr(head, "embedding", None):
        pytest.skip("the embedding is channels last")
    x = batch(case.input_shape, 2)
    first = np.moveaxis(x, -1, 1)
    head.build(first.shape)
    perturb(head)
    np.testing.assert_allclose(
        numpy(head(first)), case.reference(head, x), atol=2e-6, rtol=2e-6
    )


@once
@each_head
def test_head_number_of_trainable_variables(name):
    assert len(built_head(name).trainable_variables) == HEADS[name].trainable
