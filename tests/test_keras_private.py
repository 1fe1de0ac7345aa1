"""The private names of Keras that the package needs, and what they serve."""

import ast
import pathlib
import re
import tomllib

import keras
import numpy as np
import pytest

import keras_ff
from keras_ff import keras_private

PACKAGE = pathlib.Path(keras_ff.__file__).parent
INPUTS = keras.Input((2,), name="inputs")
MODEL = keras.Model(INPUTS, keras.layers.Dense(3)(INPUTS))
MODEL.compile(loss="mse")
NODE = MODEL._nodes_by_depth[0][0]
JAX = keras.backend.backend() == "jax"

NAMES = [
    (MODEL, "_nodes_by_depth", "the order in which layers run"),
    (NODE, "operation", "which layer runs"),
    (NODE, "is_input", "where a graph begins"),
    (NODE, "input_tensors", "until when a tensor is kept"),
    (NODE, "outputs", "what a layer gives to others"),
    (NODE.arguments, "fill_in", "calling a layer of a graph"),
    (MODEL.output, "_keras_history", "which layer goodness comes from"),
    (MODEL, "_standardize_inputs", "models with several inputs"),
    (MODEL, "_flatten_layers", "decay of temperatures inside local layers"),
    (MODEL, "_aggregate_additional_loss", "regularizers of local layers"),
    (MODEL, "_loss_tracker", "the loss that fit reports"),
    (MODEL, "_compute_loss", "an override that does not know `training`"),
    (MODEL._compile_loss, "built", "no loss of the combined prediction"),
    (MODEL.layers[0], "_inbound_nodes", "shapes in a summary"),
    (MODEL.layers[0], "_non_trainable_variables", "several processes"),
    (MODEL.layers[0], "_seed_generators", "several processes"),
    (MODEL, "_initial_epoch", "a second fit of a resumed model"),
    (MODEL.trainable_variables[0], "_value", "weights after Ctrl-C on JAX"),
    (MODEL, "_get_metrics_result_or_logs", "logs of layers in stages"),
]
AVERAGING = keras.optimizers.SGD(use_ema=True)
AVERAGING.build(MODEL.trainable_variables)
SEQUENTIAL = keras.Sequential([INPUTS, keras.layers.Dense(3)])
NAMES += [(SEQUENTIAL, "_functional", "models nested in a model that is cut")]
NAMES += [
    (AVERAGING, name, "weights after an error before the first step, on JAX")
    for name in ("_trainable_variables", "_model_variables_moving_average")
]
OPTIMIZER = keras.optimizers.SGD()
OPTIMIZER.exclude_from_weight_decay(var_names=["bias"])
NAMES += [
    (OPTIMIZER, name, "what a loaded model excludes from weight decay")
    for name in (
        "_exclude_from_weight_decay",
        "_exclude_from_weight_decay_pattern",
        "_var_key",
    )
]
NAMES += [
    (OPTIMIZER, name, "the optimizers of programs for devices")
    for name in ("_apply_weight_decay", "_backend_update_step")
]
if JAX:
    NAMES += [
        (MODEL, name, "weights after Ctrl-C on JAX")
        for name in ("jax_state_sync", "_jax_state", "_jax_state_synced")
    ]
    NAMES += [(MODEL, "_symbolic_build", "batches that lie on their devices")]


if keras.backend.backend() == "tensorflow":
    from keras.src.backend.tensorflow.trainer import TFEpochIterator

    ITERATOR = TFEpochIterator(
        x=np.zeros((2, 2)), distribute_strategy=MODEL.distribute_strategy
    )
    NAMES += [
        (owner, name, "tracing a training step once, not twice")
        for owner, name in [
            (MODEL, "_maybe_symbolic_build"),
            (MODEL, "_symbolic_build"),
            (MODEL, "_distribute_strategy"),
            (ITERATOR, "_distributed_dataset"),
        ]
    ]


@pytest.mark.parametrize("owner, name, serves", NAMES)
def test_keras_has(owner, name, serves):
    if name == "_jax_state":
        # Made by `fit` and read by `jax_state_sync`.
        MODEL.fit(np.zeros((2, 2)), np.zeros((2, 3)), verbose=0)
    assert hasattr(owner, name), (
        f"Keras {keras.__version__} has no {name} of {type(owner).__name__}: "
        f"{serves}. Mend keras_ff/keras_private.py."
    )


@pytest.mark.only_on("torch")
def test_versions_are_those_that_the_project_allows():
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())
    (keras_of,) = [
        one
        for one in project["project"]["dependencies"]
        if re.match(r"keras\b", one)
    ]
    assert f"`{keras_of}`" in keras_private.__doc__


def test_arguments_and_modules():
    seen = {}

    class Model(keras.Model):
        def evaluate(self, *args, **kwargs):
            seen["within"] = keras_private.is_within_fit(kwargs)
            return super().evaluate(*args, **kwargs)

    model = Model(INPUTS, MODEL.output)
    model.compile(loss="mse")
    data = np.zeros((2, 2)), np.zeros((2, 3))
    model.fit(*data, validation_data=data, verbose=0)
    assert seen["within"], "labels of every validation are checked again"
    model.evaluate(*data, verbose=0)
    assert not seen["within"]
    module = type(keras.optimizers.Adam()).__module__
    assert keras_private.is_torch_optimizer(module) == (
        keras.backend.backend() == "torch"
    ), "optimizers saved on PyTorch load on no other backend"


def test_batches_of_any_data():
    batches = list(keras_private.epoch_batches(np.arange(5), batch_size=2))
    sizes = [len(keras.utils.unpack_x_y_sample_weight(b)[0]) for b in batches]
    assert sizes == [2, 2, 1], "early exit and its calibration"


@pytest.mark.only_on("jax")
def test_opaque_batches_pass_through_keras():
    @keras_private.opaque
    class Batch(tuple):
        pass

    one, other = Batch([np.zeros(2)]), Batch([np.ones(2)])
    assert keras.tree.map_structure(None, one, other) is one


def test_data_are_read_by_an_adapter_of_ones_own():
    adapter = keras_private.data_adapter(
        np.zeros((3, 2)), None, None, 2, None, False, None
    )
    assert isinstance(adapter, keras_private.DataAdapter)
    assert adapter.num_batches == 2
    again = keras_private.data_adapter(adapter, *[None] * 6)
    assert again is adapter, "batches of several devices"


def test_no_other_file_uses_them():
    private = {name for _, name, _ in NAMES if name.startswith("_")}
    private |= {"_use_cached_eval_dataset", "fill_in", "jax_state_sync"}
    found = []
    for path in PACKAGE.rglob("*.py"):
        if path.name == "keras_private.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = {
                getattr(node, "attr", None),
                getattr(node, "value", None),
                getattr(node, "module", None),
            }
            names = {name for name in names if isinstance(name, str)}
            if names & private or any("keras.src" in n for n in names):
                found.append(f"{path.name}:{node.lineno}")
    assert not found, "use keras_ff/keras_private.py"
