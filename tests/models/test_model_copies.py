"""A copy of a model is the model: it predicts and trains on bit for bit.

Each row of the table is a model with something that a copy could forget; it
is trained, copied in every way there is, compared and trained on.
"""

import copy
import json
import pickle
import warnings

import keras
import numpy as np
import pytest
from by_hand import BACKEND
from tiny_models import CLASSES
from tiny_models import FEATURES
from tiny_models import assert_same
from tiny_models import caw_dense
from tiny_models import data
from tiny_models import optimizer_state
from tiny_models import state

from keras_ff import contributions
from keras_ff import keras_private
from keras_ff import layers
from keras_ff import losses
from keras_ff import models
from keras_ff.models import ForwardForwardModel
from keras_ff.models import ForwardOnlyModel
from keras_ff.models import load_model

pytestmark = pytest.mark.eager

MAP = (6, 6, 1)


def chain(*parts, shape=(FEATURES,), **options):
    inputs = keras.Input(shape, name="inputs")
    return ForwardOnlyModel([inputs, *parts], name="chain", **options)


def block(name="block", parts=None, **options):
    parts = parts or [keras.layers.Dense(6, "relu", name="inner")]
    head = layers.GoodnessProjection(CLASSES)
    return layers.LocalBlock(parts, head, name=name, **options)


def caw(**options):
    return caw_dense("caw", dropout=0.0, **options)


def nested():
    """A Keras model inside of a block, a part of it frozen."""
    inputs = keras.Input((FEATURES,), name="nested_inputs")
    x = keras.layers.Dense(4, name="outer")(inputs)
    frozen = keras.layers.Dense(4, name="still")
    part = keras.Model(inputs, frozen(x), name="part")
    frozen.trainable = False
    return part


def localized():
    inputs = keras.Input((FEATURES,), name="inputs")
    x = keras.layers.Dense(6, "relu", name="one")(inputs)
    x = keras.layers.BatchNormalization(name="two")(x)
    outputs = keras.layers.Dense(4, "relu", name="three")(x)
    backbone = keras.Model(inputs, outputs)
    backbone.get_layer("two").trainable = False
    return models.localize(backbone, CLASSES, cut=["two"])


def with_backbone():
    inputs = keras.Input((FEATURES,), name="backbone_inputs")
    outputs = keras.layers.Dense(4, name="deep")(inputs)
    backbone = keras.Model(inputs, outputs, name="backbone")
    backbone.trainable = False
    return chain(backbone, caw())


def graph():
    inputs = keras.Input((FEATURES,), name="inputs")
    x, first = block("first")(inputs)
    y, second = caw()(x)
    _, third = block("third")(keras.layers.Concatenate(name="both")([x, y]))
    return ForwardOnlyModel(
        inputs,
        [third, first, second],
        contribution=contributions.LossAware("training"),
        layer_clipnorm=0.25,
        layer_metrics=True,
        name="graph",
    )


def forward_forward():
    return ForwardForwardModel(
        [
            keras.Input((FEATURES,), name="inputs"),
            layers.FFDense(6),
            layers.FFDense(6),
        ],
        num_classes=CLASSES,
        inference="readout",
    )


def with_dropout():
    """With a seed, without one, and noise between local layers."""
    return chain(
        keras.layers.GaussianNoise(0.1, name="noise"),
        block(parts=[keras.layers.Dense(6), keras.layers.Dropout(0.3, seed=8)]),
        caw_dense("dropped", dropout=0.3),
    )


def convolutions():
    return chain(
        layers.CAWConv2D(6, 3, CLASSES, padding="same", name="caw"),
        keras.layers.AveragePooling2D(2, name="pool"),
        layers.CWConv2D(6, 2, CLASSES, name="cw"),
        shape=MAP,
    )


def prototypes():
    return chain(
        layers.PrototypeConv2D(4, 3, CLASSES, name="conv"),
        layers.PrototypeDense(6, CLASSES, prototypes_per_class=2, name="dense"),
        shape=MAP,
    )


def normalized():
    def layer():
        return keras.layers.LayerNormalization(center=False, scale=False)

    return chain(
        caw(normalization=layer()), block("last", normalization=layer())
    )


def of_several_dtypes():
    return chain(
        caw(dtype="mixed_float16"), block("half", dtype="mixed_bfloat16")
    )


def two():
    return chain(caw(), block())


def under_a_policy():
    """Keras scales the loss, as the policy of this session is then."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        return two()
    finally:
        keras.config.set_dtype_policy(before)


@keras.saving.register_keras_serializable(package="keras_ff_tests")
class Halves(contributions.Contribution):
    """A contribution of one's own, with a state that is no constant."""

    source = "training"

    def __init__(self, share=0.5):
        self.share = share

    def initial_weights(self, num_layers):
        return np.full(num_layers, self.share, "float32")

    def update(self, statistics):
        return self.share * self.weights + statistics.mean_loss()

    def get_config(self):
        return {"share": self.share}


def of_ones_own():
    return chain(caw(), block(), contribution=Halves(0.25))


# === What is done to a model after it was made ===


def freeze(*path):
    """Freezes `model.get_layer(path[0])`, or an attribute's part of it."""

    def change(model):
        part = model.get_layer(path[0])
        for name in path[1:]:
            part = part[name] if isinstance(name, int) else getattr(part, name)
        part.trainable = False

    return change


def freeze_all(model):
    model.trainable = False


def adapt(model):
    models.adapt_prototypes(model, data(24, MAP)[0], data(24, MAP)[1])


# === How it is compiled ===


def by_path():
    optimizers = keras.optimizers.OptimizerMap(
        keras.optimizers.Adam(0.01),
        {"block/inner/.*": keras.optimizers.SGD(0.05, momentum=0.9)},
    )
    return keras.optimizers.MultiOptimizer(optimizers)


def scheduled():
    schedule = keras.optimizers.schedules.CosineDecay(0.05, 20)
    return keras.optimizers.AdamW(schedule, weight_decay=0.01)


def averaging():
    return keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9)


def accumulating():
    return keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)


def excluding():
    optimizer = keras.optimizers.AdamW(0.01, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias", "log_temp"])
    return keras.optimizers.LossScaleOptimizer(optimizer)


def scaling():
    inner = keras.optimizers.Adam(0.01)
    return keras.optimizers.LossScaleOptimizer(
        inner, initial_scale=64.0, dynamic_growth_steps=2
    )


def muon():
    return keras.optimizers.Muon(0.01)


OPTIONS = dict(
    loss=losses.SmoothMarginLoss(margin=0.2, scale=3.0),
    metrics=[
        keras.metrics.SparseCategoricalAccuracy(name="share"),
        keras.metrics.SparseTopKCategoricalAccuracy(k=2, name="two_guesses"),
    ],
    # PyTorch in Keras 3.15 knows one step only.
    steps_per_execution=1 if BACKEND == "torch" else 2,
)

ROWS = {
    "graph": dict(make=graph, optimizer=scheduled),
    "forward_forward": dict(make=forward_forward),
    "dropout": dict(make=with_dropout),
    "convolutions": dict(make=convolutions),
    "prototypes": dict(make=prototypes, change=adapt),
    "normalization": dict(make=normalized),
    "localized": dict(make=localized),
    "nested_model": dict(make=lambda: chain(block(parts=nested()), caw())),
    "own_contribution": dict(make=of_ones_own),
    "session_policy": dict(make=under_a_policy),
    "dtypes": dict(make=of_several_dtypes, optimizer=scaling),
    "frozen_layer": dict(make=two, change=freeze("caw")),
    "frozen_block": dict(make=two, change=freeze("block")),
    "frozen_head": dict(make=two, change=freeze("caw", "head")),
    "frozen_sub_layer": dict(make=two, change=freeze("caw", "operation")),
    "frozen_in_block": dict(make=two, change=freeze("block", "layers", 0)),
    "frozen_backbone": dict(make=with_backbone),
    "frozen_all": dict(make=two, change=freeze_all),
    "by_path": dict(make=two, optimizer=by_path),
    "averages": dict(make=two, optimizer=averaging),
    "accumulation": dict(make=two, optimizer=accumulating),
    "muon": dict(make=two, optimizer=muon),
    "weight_decay": dict(make=two, optimizer=excluding),
    "compile_options": dict(make=two, compile=OPTIONS),
}
# What makes the others is the same Python on all backends.
EVERYWHERE = ("graph", "forward_forward", "dtypes", "by_path")


def compiled(model, row):
    optimizer = row.get("optimizer", lambda: keras.optimizers.Adam(0.02))
    model.compile(optimizer(), **copy.deepcopy(row.get("compile", {})))
    return model


def trained(row):
    keras.utils.set_random_seed(3)
    model = row["make"]()
    row.get("change", lambda model: None)(model)
    compiled(model, row)
    shape = model.inputs[0].shape[1:]
    train_on(model, data(12, shape))
    return model


# === Ways of copying ===


def by_file(model, folder):
    model.save(folder / "model.keras")
    return keras.saving.load_model(folder / "model.keras")


def by_folder(model, folder):
    model.save(folder / "model", zipped=False)
    return load_model(folder / "model")


def by_deepcopy(model, folder):
    return copy.deepcopy(model)


def by_pickle(model, folder):
    return pickle.loads(pickle.dumps(model))


def by_weights(model, folder):
    twin = keras.models.clone_model(model)
    model.save_weights(folder / "model.weights.h5")
    twin.load_weights(folder / "model.weights.h5")
    return twin


def by_parts(model, folder):
    twin = keras.models.clone_model(model)
    path = folder / "model.weights.json"
    model.save_weights(path, max_shard_size=1e-5)
    twin.load_weights(path)
    return twin


WHOLE = [by_file, by_folder, by_deepcopy, by_pickle, by_weights, by_parts]


def by_assigning(make):
    def copied(model, folder):
        twin = make(model)
        for variable, value in zip(twin.variables, state(model)):
            variable.assign(value)
        return twin

    return copied


def configured(model):
    return type(model).from_config(json.loads(json.dumps(model.get_config())))


def by_truncate(model, folder):
    return model.truncate(len(model.local_layers))


UNCOMPILED = [
    by_assigning(configured),
    by_assigning(keras.models.clone_model),
    by_truncate,
]


def portrait(model):
    """What must be the same, besides numbers."""
    return dict(
        config=json.dumps(model.get_config()),
        paths=[v.path for v in model.weights],
        dtypes=[v.dtype for v in model.variables],
        trainable=[v.path for v in model.trainable_variables],
        frozen=[
            layer.name
            for layer in keras_private.all_layers(model)
            if layer.weights and not layer.trainable
        ],
        epoch=model.epoch,
    )


@pytest.mark.filterwarnings("error:Skipping variable loading")
@pytest.mark.filterwarnings("ignore:All local layers are frozen")
@pytest.mark.parametrize(
    "name",
    [
        name
        if name in EVERYWHERE
        else pytest.param(name, marks=pytest.mark.only_on("torch"))
        for name in ROWS
    ],
)
def test_copies_are_the_model_and_train_on_as_it_does(name, tmp_path):
    row = ROWS[name]
    model = trained(row)
    expected, before = portrait(model), state(model)
    # The first rows are copied in every way.
    every = name in ("graph", "dropout")
    twins = [way(model, tmp_path) for way in (WHOLE if every else WHOLE[:1])]
    for twin in twins:
        assert compile_config(twin) == compile_config(model)
        assert_same(optimizer_state(twin), optimizer_state(model))
    others = UNCOMPILED if every else UNCOMPILED[-1:]
    if name == "forward_forward":
        others = UNCOMPILED[:-1]
    for twin in [*twins, *(way(model, tmp_path) for way in others)]:
        assert portrait(twin) == expected
        assert_same(state(twin), before)

    if BACKEND != "torch":
        # What is the same in all this trains on alike, as PyTorch, the
        # fastest, shows for every row and every way.
        twins = twins[:1]
        if not every and name != "by_path":
            return
    batches = data(12, model.inputs[0].shape[1:], seed=5)
    prediction = model.predict(batches[0], verbose=0)
    logs = train_on(model, batches)
    moved = any(np.any(a != b) for a, b in zip(state(model), before))
    assert moved or name == "frozen_all"
    for twin in twins:
        assert_same([twin.predict(batches[0], verbose=0)], [prediction])
        assert train_on(twin, batches) == logs
        assert_same(state(twin), state(model))
        assert_same(optimizer_state(twin), optimizer_state(model))


@pytest.mark.only_on("torch")
@pytest.mark.parametrize("change", ["quantize", "lora"])
def test_copies_of_changed_layers_predict_the_same(change, tmp_path):
    # Keras's files merge LoRA into the kernel, so training is another.
    model = compiled(two(), {})
    x, _ = data(8)
    if change == "quantize":
        before = model.predict(x, verbose=0)
        with warnings.catch_warnings():
            # That layers without kernels cannot be.
            warnings.simplefilter("ignore")
            model.quantize("int8")
        assert np.abs(model.predict(x, verbose=0) - before).max() > 0
    else:
        for name, part in (("caw", "operation"), ("block", "layers")):
            layer = getattr(model.get_layer(name), part)
            layer = layer[0] if part == "layers" else layer
            layer.enable_lora(2)
            layer.lora_kernel_b.assign(layer.lora_kernel_b + 0.5)
        compiled(model, {})
    prediction = model.predict(x, verbose=0)
    trainable = [v.path for v in model.trainable_variables]
    for way in (by_file, by_deepcopy, *UNCOMPILED):
        twin = way(model, tmp_path)
        assert [v.path for v in twin.trainable_variables] == trainable
        np.testing.assert_allclose(
            twin.predict(x, verbose=0), prediction, rtol=1e-5, atol=1e-6
        )


@pytest.mark.only_on("torch")
@pytest.mark.parametrize("inference", ["goodness", "readout"])
def test_files_of_a_quantized_forward_forward_model(inference, tmp_path):
    model = compiled(forward_forward(), {})
    model.inference = inference
    shape = model.inputs[0].shape[1:]
    train_on(model, data(12, shape))
    model.quantize("int8")
    # The optimizer's state was that of other variables.
    compiled(model, {})
    twin = by_file(model, tmp_path)
    x, _ = data(12, shape)
    expected = model.predict(x, verbose=0)
    assert_same([twin.predict(x, verbose=0)], [expected])


def test_lora_learns_after_a_file(tmp_path):
    # Keras loads zeros for both factors.
    model = compiled(two(), {})
    model.get_layer("caw").operation.enable_lora(2)
    compiled(model, {})
    loaded = by_file(model, tmp_path)
    loaded.compile(keras.optimizers.SGD(0.1))
    x, y = data(8)
    before = loaded.predict(x, verbose=0)
    operation = loaded.get_layer("caw").operation
    for start in (loaded.train_on_batch, loaded.fit):
        for factor in (operation.lora_kernel_a, operation.lora_kernel_b):
            factor.assign(0 * factor.value)
        loaded.train_function = None
        start(x, y)
        assert keras.ops.any(operation.lora_kernel_b != 0)
    assert np.abs(loaded.predict(x, verbose=0) - before).max() > 1e-4


def test_variables_excluded_from_weight_decay(tmp_path):
    model = two()
    optimizer = keras.optimizers.SGD(0.1, weight_decay=1.0)
    kernel = model.get_layer("block").layers[0].kernel
    optimizer.exclude_from_weight_decay(var_list=[kernel])
    model.compile(optimizer)
    for twin in (by_file(model, tmp_path), by_deepcopy(model, tmp_path)):
        for variable in twin.trainable_variables:
            assert twin.optimizer._use_weight_decay(variable) == (
                variable.path != kernel.path
            )


def sharing(kind):
    """Two local layers that share something, or one that holds it twice."""
    tied = keras.layers.Dense(FEATURES, "relu", name="tied")
    head = layers.GoodnessProjection(CLASSES, name="tied")
    if kind == "layer":
        return chain(block("one", [tied]), block("two", [tied]))
    if kind == "twice":
        return chain(block("one", [tied, tied]), block("two"))
    return chain(
        *(
            layers.LocalBlock([keras.layers.Dense(FEATURES)], head, name=name)
            for name in ("one", "two")
        )
    )


@pytest.mark.filterwarnings("ignore:Layers .* share parts")
@pytest.mark.parametrize("kind", ["layer", "head", "twice"])
def test_shared_parts_are_never_untied_in_silence(kind, tmp_path):
    message = r"\['one'.*\] share parts, \['tied'.*nei"
    with pytest.warns(UserWarning, match=message):
        model = compiled(sharing(kind), {})
    x, _ = data(8)
    for way in (by_file, by_folder, by_deepcopy, by_pickle, *UNCOMPILED):
        with pytest.raises(ValueError, match="'one' shares .*'tied'"):
            way(model, tmp_path)
    inputs, tied = keras.Input((FEATURES,)), keras.layers.Dense(4, name="tied")
    heads = [
        layers.AuxiliaryHead(tied, layers.GoodnessProjection(CLASSES), name=n)
        for n in ("one", "two")
    ]
    other = models.DeepSupervisionModel(inputs, [h(inputs) for h in heads])
    with pytest.raises(ValueError, match="'one' shares .*'tied'"):
        keras.models.clone_model(other)
    twin = sharing(kind)
    model.save_weights(tmp_path / "model.weights.h5")
    twin.load_weights(tmp_path / "model.weights.h5")
    assert_same([twin.predict(x, verbose=0)], [model.predict(x, verbose=0)])
    # What has no weights may be shared.
    relu = keras.layers.ReLU()
    dense = [keras.layers.Dense(6) for _ in range(2)]
    free = chain(block("one", [dense[0], relu]), block("two", [dense[1], relu]))
    by_file(compiled(free, {}), tmp_path)


def compile_config(model):
    return json.dumps(model.get_compile_config())


def train_on(model, batches):
    return model.fit(*batches, batch_size=4, verbose=0).history
