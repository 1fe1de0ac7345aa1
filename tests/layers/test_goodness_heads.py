"""What every goodness head must do. The heads are in `cases.py`."""

import inspect
import json

import keras
import numpy as np
import pytest
from cases import BATCH
from cases import HEADS
from cases import MIXED
from cases import NUM_CLASSES
from cases import batch
from cases import built_head
from cases import dtype_of
from keras import ops
from reference import numpy_reference as ref
from reference.arrays import normal
from reference.arrays import numpy
from reference.arrays import perturb
from reference.backend import gradients

each_head = pytest.mark.parametrize("name", HEADS)
each_policy = pytest.mark.parametrize("policy", ("float32", *MIXED))


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


@each_policy
@each_head
def test_head_shapes_and_dtypes_are_as_announced(name, policy):
    keras.config.set_dtype_policy(policy)
    case = HEADS[name]
    head = case.make()
    symbolic = head(keras.Input(case.input_shape))
    output = head(batch(case.input_shape))
    assert tuple(symbolic.shape) == (None, NUM_CLASSES)
    assert tuple(output.shape) == (BATCH, NUM_CLASSES)
    announced = head.compute_output_shape((None, *case.input_shape))
    assert tuple(announced) == (None, NUM_CLASSES)
    assert symbolic.dtype == dtype_of(output) == "float32"


@each_head
def test_head_config_round_trip(name):
    case = HEADS[name]
    head = case.make()
    config = json.loads(json.dumps(head.get_config(), default=list))
    copy = type(head).from_config(config)
    assert copy.get_config() == head.get_config()
    parameters = inspect.signature(type(head).__init__).parameters.values()
    for parameter in parameters:
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            assert parameter.name in {*config, "self"}


@each_head
def test_head_saved_in_a_functional_model(name, tmp_path):
    case = HEADS[name]
    head = built_head(name)
    inputs = keras.Input(case.input_shape)
    model = keras.Model(inputs, head(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = batch(case.input_shape)
    np.testing.assert_array_equal(numpy(loaded(x)), numpy(model(x)))


@each_head
def test_head_number_of_trainable_variables(name):
    assert len(built_head(name).trainable_variables) == HEADS[name].trainable


@each_head
def test_head_is_differentiable(name):
    """A head does not stop the gradient: its local layer does."""
    case = HEADS[name]
    head = built_head(name)
    start = normal((2, *case.input_shape), 4)
    x = keras.Variable(start)
    weights = normal((2, NUM_CLASSES), 6)

    def objective():
        return ops.sum(ops.multiply(head(ops.convert_to_tensor(x)), weights))

    (found,) = gradients(objective, [x])
    expected = ref.numeric_gradient(
        lambda a: (case.reference(head, a) * weights).sum(), start
    )
    np.testing.assert_allclose(found, expected, atol=1e-6, rtol=1e-5)
