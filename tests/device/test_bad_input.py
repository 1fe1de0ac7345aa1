"""What is not sound changes no weight, and what is not whole is refused."""

import json
import os
import shutil
from unittest import mock

import keras
import numpy as np
import pytest
from models.tiny_models import CLASSES
from models.tiny_models import FEATURES
from models.tiny_models import data
from models.tiny_models import dense_model

import keras_ff
from keras_ff import layers
from keras_ff.device import LiteRTTrainer
from keras_ff.device.batch_rules import BatchRules
from keras_ff.models import ForwardForwardModel
from keras_ff.models import ForwardOnlyModel

pytest.importorskip("ai_edge_litert")
pytestmark = pytest.mark.only_on("tensorflow")
BATCH = 4


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    keras.utils.set_random_seed(0)
    model = dense_model(2, dropout=0.3)
    model.compile(keras.optimizers.SGD(0.1))
    path = tmp_path_factory.mktemp("device") / "exported"
    keras_ff.export_training(model, path, batch_size=BATCH, float16=True)
    return path


@pytest.fixture
def folder(exported, tmp_path):
    return shutil.copytree(exported, tmp_path / "exported")


def first_kernel(weights):
    return next(name for name in weights if name.startswith("local_0/dense"))


def same(one, other):
    return all(np.array_equal(one[name], other[name]) for name in one)


def test_batches_that_are_not_sound(exported):
    trainer = LiteRTTrainer(exported)
    x, y = data(BATCH)
    hole = x.copy()
    hole[2, 1] = np.nan
    before = trainer.weights()
    for message, batch in {
        "must have the shape": (x[:, 1:], y),
        "batches of 4": (x[:3], y[:3]),
        "`x` must hold samples": (x[:0], y[:0]),
        "finite. Received: NaN.*position 2": (hole, y),
        r"\[0, 3\). Received: 3": (x, y * 0 + 3),
        r"Labels must have the shape \(4,\).*changed.$": (x, y[:2]),
        r"\(4, 3\).*np.argmax": (x, np.eye(CLASSES)[y]),
        "finite and not negative": (x, y, [1, 1, 1, -1]),
    }.items():
        with pytest.raises(ValueError, match=message):
            trainer.train_on_batch(*batch)
        assert same(before, trainer.weights()), message
    with pytest.raises(TypeError, match="from 0 to 2; .*np.unique"):
        trainer.train_on_batch(x, np.array(["a", "b", "c", "a"]))
    for use in (trainer.predict, lambda x: trainer.evaluate(x, y[:0])):
        with pytest.raises(ValueError, match="`x` must hold samples"):
            use(x[:0])
    for name, wrong in (("epochs", 0), ("save_every", 0), ("save_every", -1)):
        with pytest.raises(ValueError, match=f"`{name}` must be at least 1"):
            trainer.fit(x, y, **{name: wrong})
    for name, wrong in (("epochs", "a"), ("save_every", 1.5)):
        with pytest.raises(TypeError, match=f"`{name}` must be an integer"):
            trainer.fit(x, y, **{name: wrong})
    with pytest.raises(TypeError, match="`learning_rate` must be a number"):
        trainer.learning_rate = "a"
    assert same(before, trainer.weights())
    with pytest.raises(ValueError, match="finite"):
        trainer.set_weights({"contribution": [1.0, np.nan]})
    trainer.train_on_batch(x, y)
    assert not same(before, trainer.weights())
    # The first layer is sound, the second is not.
    name = next(n for n in before if n.startswith("local_1/dense"))
    huge = np.full_like(before[name], 3e38)
    trainer.set_weights({name: huge})
    before = trainer.weights()
    with pytest.raises(ValueError, match="layer 'local_1'.*not finite"):
        trainer.train_on_batch(x, y)
    assert same(before, trainer.weights())


def test_a_killed_training_goes_on(exported, tmp_path):
    x, y = data(4 * BATCH + 1)
    straight = LiteRTTrainer(exported, weights=tmp_path / "a.npz")
    straight.fit(x, y, epochs=2, save_every=1)
    step = LiteRTTrainer.train_on_batch
    steps = iter(range(6))

    def killed(self, *batch):
        if next(steps, None) is None:
            raise KeyboardInterrupt
        return step(self, *batch)

    with mock.patch.object(LiteRTTrainer, "train_on_batch", killed):
        with pytest.raises(KeyboardInterrupt):
            LiteRTTrainer(exported, weights=tmp_path / "b.npz").fit(
                x, y, epochs=2, save_every=1
            )
    resumed = LiteRTTrainer(exported, weights=tmp_path / "b.npz")
    assert resumed.epoch == 1
    history = resumed.fit(x, y, epochs=2, save_every=1)
    assert len(history) == 1 and resumed.epoch == 2
    with pytest.warns(UserWarning, match="2 epochs are finished.* a total"):
        assert resumed.fit(x, y, epochs=2) == []
    # Weights were rounded to float16 on their way through the file.
    for name, value in straight.weights().items():
        np.testing.assert_allclose(resumed.weights()[name], value, atol=5e-3)
    with np.load(tmp_path / "b.npz") as stored:
        assert stored[first_kernel(stored)].dtype == "float16"


def test_a_device_killed_while_it_writes(folder):
    trainer = LiteRTTrainer(folder)
    before = (folder / "weights.npz").read_bytes()
    trainer.train_on_batch(*data(BATCH))
    with mock.patch.object(os, "replace", side_effect=OSError("killed")):
        with pytest.raises(OSError, match="unchanged"):
            trainer.save()
    assert (folder / "weights.npz").read_bytes() == before
    assert len(os.listdir(folder)) == 6


def test_folders_that_are_not_whole(folder, exported):
    def refused(message):
        for read in (LiteRTTrainer, keras_ff.import_training):
            with pytest.raises(ValueError, match=message):
                read(folder)

    weights = (folder / "weights.npz").read_bytes()
    (folder / "weights.npz").write_bytes(weights[: len(weights) // 2])
    refused("no whole file of weights")
    np.savez(folder / "weights.npz", contribution=np.ones(2))
    refused("lacks .*of another model")
    values = LiteRTTrainer(exported).weights()
    name = first_kernel(values)
    np.savez(folder / "weights.npz", **{**values, name: values[name].T})
    refused(f"of another model: '{name}' has the shape")
    program = folder / "train_1.tflite"
    content = program.read_bytes()
    program.unlink()
    refused("train_1.tflite, the program of layer 'local_1', is missing")
    program.write_bytes(content)
    manifest = json.loads((folder / "training.json").read_text())
    (folder / "training.json").write_text(
        json.dumps({**manifest, "layers": manifest["layers"][:1]})
    )
    refused("is not whole: training.json knows 1 of 2 layers")
    (folder / "training.json").write_text(
        json.dumps({**manifest, "version": 9})
    )
    refused("of version 9, this keras_ff reads version 1")
    (folder / "training.json").write_text("{")
    refused("damaged")
    with pytest.raises(FileNotFoundError, match="no training.json"):
        LiteRTTrainer(folder.parent)


def test_a_program_that_is_not_whole(folder):
    trainer = LiteRTTrainer(folder)
    before = trainer.weights()
    x, y = data(BATCH)
    for name, use in (
        ("train_1.tflite", lambda: trainer.train_on_batch(x, y)),
        ("model.tflite", lambda: trainer.predict(x)),
    ):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])
        with pytest.raises(ValueError, match=f"{name} is no whole program"):
            use()
    assert same(before, trainer.weights())


def test_dropout_is_drawn_anew_in_every_step(exported):
    batch = data(BATCH)

    def trained(step, seed=0):
        trainer = LiteRTTrainer(exported, seed=seed)
        trainer.set_weights({"optimizer/iteration": step})
        trainer.train_on_batch(*batch)
        weights = trainer.weights()
        return weights[first_kernel(weights)]

    first = trained(0)
    np.testing.assert_array_equal(first, trained(0))
    assert not np.array_equal(first, trained(1))
    assert not np.array_equal(first, trained(0, seed=1))


def rules_for(*inputs):
    return BatchRules(
        {
            "batch_size": 1,
            "num_columns": 2,
            "inputs": [
                {"name": name, "shape": [], "dtype": "uint8"} for name in inputs
            ],
            "labels": {},
            "task": None,
        }
    )


def test_inputs_of_unlike_numbers_of_samples():
    with pytest.raises(ValueError, match=r"inputs of \[3, 2\] samples"):
        rules_for("a", "b").samples([np.ones(3), np.ones(2)])


def test_integers_that_the_programs_cannot_hold():
    rules = rules_for("x")
    assert rules.samples([[3.0, 255.0]])[0].dtype == "uint8"
    for wrong in (0.5, 256, -1):
        with pytest.raises(ValueError, match=f"uint8. Received: {wrong}"):
            rules.samples([[3, wrong]])


def test_state_of_another_optimizer_stays_on_the_device(folder):
    trainer = LiteRTTrainer(folder)
    trainer.learning_rate = 0.5
    trainer.save()

    def imported():
        optimizer = keras_ff.import_training(folder).optimizer
        return float(optimizer.learning_rate)

    assert imported() == 0.5
    manifest = (folder / "training.json").read_text()
    (folder / "training.json").write_text(manifest.replace("SGD", "Adam"))
    np.testing.assert_allclose(imported(), 0.1)


def test_weights_of_another_model(exported):
    model = dense_model(1)
    before = [keras.ops.convert_to_numpy(v) for v in model.variables]
    with pytest.raises(ValueError, match="of another model"):
        keras_ff.import_training(exported, model)
    with pytest.raises(FileNotFoundError, match="no file of weights lost.npz"):
        keras_ff.import_training(exported, model, weights="lost.npz")
    for variable, value in zip(model.variables, before):
        np.testing.assert_array_equal(variable, value)


def test_what_is_not_exported(exported, tmp_path):
    path = tmp_path / "new"
    model = dense_model(1)

    def refused(message, model=model, path=path, error=ValueError, **options):
        with pytest.raises(error, match=message):
            keras_ff.export_training(model, path, **options)

    refused("must be compiled")
    model.compile()
    refused("is not empty", path=exported)
    refused("'litert'", format="onnx")
    refused("`optimizer` must be one of", optimizer="lion")
    refused("Only a ForwardOnlyModel", keras.Sequential(), error=TypeError)
    optimizers = keras.optimizers
    by_path = optimizers.AdamW()
    by_path.exclude_from_weight_decay(var_names=["dense"])
    for message, optimizer in {
        "global_clipnorm": optimizers.SGD(global_clipnorm=1.0),
        "use_ema": optimizers.SGD(use_ema=True),
        "more than one batch": optimizers.SGD(gradient_accumulation_steps=2),
        "optimizer of optimizers": optimizers.LossScaleOptimizer(
            optimizers.SGD()
        ),
        "Nadam has a step of its own": optimizers.Nadam(),
        "compares paths of weights": by_path,
        "ScheduleFreeAdamW reads a number": optimizers.ScheduleFreeAdamW(),
    }.items():
        refused(message, optimizer=optimizer)
    pairs = ForwardForwardModel(
        [keras.Input((8,)), layers.FFDense(4)], num_classes=CLASSES
    )
    refused("draws wrong labels by a read-out", pairs, error=TypeError)
    alike = one_block([keras.layers.Dense(4, name="a") for _ in range(2)])
    refused("Give the parts of the layers names of their own", alike)
    half = one_block([keras.layers.Dense(4, dtype="mixed_float16", name="b")])
    refused("'b' computes in float16", half)
    part = keras.layers.Dense(FEATURES, name="part")
    blocks = [
        layers.LocalBlock(part, layers.GoodnessProjection(CLASSES))
        for _ in range(2)
    ]
    with pytest.warns(UserWarning, match="share parts"):
        sharing = ForwardOnlyModel([keras.Input((FEATURES,)), *blocks])
    sharing.compile()
    refused(r"shares parts, \['part'\]", sharing)
    noisy = one_block([keras.layers.Dense(4), keras.layers.GaussianNoise(1.0)])
    refused("layer 'block' does cannot be expressed.*RandomNormal", noisy)
    padded = ForwardOnlyModel(
        [
            keras.Input((4, 4, 2)),
            layers.LocalBlock(
                [PaddedConvolution()],
                layers.GoodnessProjection(CLASSES),
                name="pads",
            ),
        ]
    )
    padded.compile()
    refused("layer 'pads' does has no gradient.*EXPLICIT", padded)
    assert not path.exists() and not list(tmp_path.glob(".*"))


def one_block(parts):
    model = ForwardOnlyModel(
        [
            keras.Input((FEATURES,)),
            layers.LocalBlock(
                parts, layers.GoodnessProjection(CLASSES), name="block"
            ),
        ]
    )
    model.compile()
    return model


class PaddedConvolution(keras.layers.Layer):
    """Has a convolution whose gradient is not made for devices."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(3, 3, shape[-1], 3))

    def call(self, inputs):
        import tensorflow as tf

        around = [[0, 0], [1, 1], [1, 1], [0, 0]]
        return tf.nn.conv2d(inputs, self.kernel, 1, around)
