"""Weights in int8 and float16 say what float32 says, in less."""

import json
from unittest import mock

import keras
import numpy as np
import pytest
from models.tiny_models import CLASSES
from models.tiny_models import numpy

import keras_ff
from keras_ff import layers
from keras_ff.device import LiteRTTrainer
from keras_ff.models import ForwardOnlyModel

tflite = pytest.importorskip("ai_edge_litert.interpreter")
pytestmark = pytest.mark.only_on("tensorflow")


def test_int8_and_float16_agree_with_float32(tmp_path):
    random = np.random.default_rng(0)
    y = random.integers(0, CLASSES, 40)
    x = random.normal(size=(40, 6, 6, 3)) + y[:, None, None, None]
    x = x.astype("float32")
    model = ForwardOnlyModel(
        [
            keras.Input((6, 6, 3)),
            # LiteRT leaves kernels of less than 1024 numbers as they are.
            layers.CAWConv2D(40 * CLASSES, 3, CLASSES, padding="same"),
            layers.PrototypeConv2D(10, 1, CLASSES),
        ]
    )
    model.compile(keras.optimizers.SGD(0.01))
    model.fit(x, y, batch_size=8, verbose=0)
    path = tmp_path / "exported"
    keras_ff.export_training(model, path, batch_size=8, float16=True, int8=True)
    expected = model.predict(x, verbose=0)
    trainer = LiteRTTrainer(path)

    def apart(found):
        assert found.shape == expected.shape
        agree = found.argmax(-1) == expected.argmax(-1)
        return np.abs(found - expected).max() / np.ptp(expected), agree.mean()

    # Eight bits a weight, eleven in float16; none is exact.
    for found, limit in (
        (trainer.predict(x, int8=True), 0.03),
        (trainer.predict(x), 0.004),
    ):
        far, agree = apart(found)
        assert 0 < far < limit
        assert agree >= 0.95
    program = tflite.Interpreter(str(path / "predict_int8.tflite"))
    kinds = [
        tensor["shape"].tolist()
        for tensor in program.get_tensor_details()
        if tensor["dtype"] is np.int8
    ]
    assert [120, 3, 3, 3] in kinds

    # Trained on in float32: the rounded weights are those it began with.
    kernel = next(name for name in trainer.weights() if name.endswith("kernel"))
    begun = {name: np.copy(v) for name, v in trainer.weights().items()}
    half = numpy(model.layers[1].kernel).astype("float16")
    np.testing.assert_array_equal(begun[kernel], half.astype("float32"))
    trainer.train_on_batch(x[:8], y[:8])
    step = trainer.weights()[kernel]
    assert step.dtype == "float32"
    assert (step != step.astype("float16")).any()
    # What it learned reaches the float program alone.
    before = trainer.predict(x, int8=True)
    trainer.set_weights({name: 0 * v for name, v in begun.items()})
    np.testing.assert_array_equal(trainer.predict(x, int8=True), before)
    assert np.abs(trainer.predict(x) - expected).max() > 0

    # An export without int8 says so, one whose program got lost, too.
    manifest = path / "training.json"
    text = manifest.read_text()
    manifest.write_text(json.dumps({**json.loads(text), "int8": None}))
    with pytest.raises(ValueError, match="without a program in int8"):
        LiteRTTrainer(path).predict(x, int8=True)
    manifest.write_text(text)
    (path / "predict_int8.tflite").unlink()
    with pytest.raises(ValueError, match="the model in int8, is missing"):
        LiteRTTrainer(path)


def test_int8_that_says_something_else(tmp_path):
    from keras_ff.device.exporting import writing

    model = ForwardOnlyModel([keras.Input((3,)), layers.CAWDense(360, CLASSES)])
    model.compile("sgd")
    path = tmp_path / "exported"
    with mock.patch.object(writing, "_APART_IN_INT8", 0.0):
        with pytest.raises(ValueError, match="too coarse.*without `int8`"):
            keras_ff.export_training(model, path, batch_size=2, int8=True)
    assert not path.exists()
